package import NIOCore
package import XMPP

/// Writes block bodies of one compression context: records of stanzas, compressed with a history that runs on from block
/// to block (docs/link-protocol.md, "Body").
///
/// A body is the length of its raw section, the raw section (bytes of ids, then padding), and raw DEFLATE of the text.
package struct BodyEncoder: ~Copyable {
    private var deflater: Deflater
    private var writer: TextWriter
    private var lists = RecipientLists()
    private var compressed = ByteBuffer()
    private let limits = BlockLimits()

    /// Stanzas in the block under construction, one for each recipient.
    package private(set) var stanzas = 0
    /// What the block under construction expands to at the other side.
    package private(set) var expandedBytes = 0
    /// What the text of the block under construction spells: a stanza for several once, and their addresses.
    package private(set) var spelledBytes = 0

    /// Bodies are padded to a multiple of so many bytes, so that their length tells less of what is in them.
    package var paddingMultiple = 1

    /// - Parameters:
    ///   - level: zlib's, 1 to 9.
    ///   - history: text that both ends have; its last 65 535 bytes count for phrases, its last 32 768 for DEFLATE.
    package init(level: Int32, history: ByteBuffer) {
        deflater = Deflater(level: level)
        // Text is several times denser than XML: the window holds so many stanzas that at zlib's own depth of search for
        // level 6 (128 places) most time goes into chains of common trigrams. Twelve places cost 2 to 3 % of the bytes and save
        // a third of the time; who has the time and not the bytes takes level 9, which searches as zlib does.
        if level == 6 { deflater.searchLess() }
        deflater.setHistory(history)
        writer = TextWriter(history: Array(history.readableBytesView.suffix(ContextLimits.historyBytes)))
    }

    /// Bytes of text in the block under construction.
    package var textBytes: Int { writer.text.count }

    /// Whether the other side will take a block with so many more stanzas in it, of so many bytes together.
    package func hasRoom(stanzas count: Int, bytes: Int) -> Bool {
        stanzas + count <= limits.stanzas && expandedBytes + bytes <= limits.textBytes
    }

    /// Adds stanzas whose recipients, where there are several, were found to be acceptable.
    mutating func append(_ stanzas: [OutgoingStanza]) {
        for stanza in stanzas {
            if stanza.recipients.isEmpty {
                append(stanza.stanza, ageSeconds: stanza.ageSeconds)
            } else {
                let isAppended = append(stanza.stanza, recipients: stanza.recipients, ageSeconds: stanza.ageSeconds)
                precondition(isAppended, "what shares a number was looked at before it got one")
            }
        }
    }

    /// Adds a stanza to the block under construction.
    ///
    /// - Parameter ageSeconds: how long it has waited; 0 where that need not be told.
    package mutating func append(_ stanza: Stanza, ageSeconds: UInt32) {
        append(ageSeconds: ageSeconds)
        unsafe stanza.withBytes { bytes in
            if unsafe TextWriter.hasMarks(bytes) {
                unsafe writer.appendPlain(bytes)
            } else {
                unsafe writer.appendStanza(bytes)
            }
        }
        stanzas += 1
        expandedBytes += stanza.byteCount
        spelledBytes += stanza.byteCount
    }

    /// Adds one stanza for several recipients to the block under construction; the other side makes a stanza for each, in
    /// the order of the list that it has then (docs/link-protocol.md, "Recipient lists"). Takes one number.
    ///
    /// - Parameter recipients: values of `to`, escaped as they stand between the quotes.
    /// - Returns: false, with nothing added, where that cannot be: no `to` to be replaced, too many recipients, one of them
    ///   twice, or more than the other side takes in one block.
    package mutating func append(_ stanza: Stanza, recipients: [[UInt8]], ageSeconds: UInt32) -> Bool {
        guard let template = FoldableStanza(stanza), template.canBeTemplate, RecipientLists.isAcceptable(recipients),
            Set(recipients).count == recipients.count
        else { return false }
        let addresses = recipients.reduce(0) { $0 + $1.count }
        let rest = stanza.byteCount - template.valueBytes
        let expanded = addresses + recipients.count * rest
        guard hasRoom(stanzas: recipients.count, bytes: expanded) else { return false }
        append(ageSeconds: ageSeconds)
        writer.append(TextMark.folded)
        append(lists.spell(recipients), recipients)
        unsafe stanza.withBytes { bytes in
            unsafe writer.appendStanza(bytes, recipient: template.recipient)
        }
        stanzas += recipients.count
        expandedBytes += expanded
        spelledBytes += addresses + rest
        return true
    }

    private mutating func append(_ spelling: RecipientLists.Spelling, _ recipients: [[UInt8]]) {
        switch spelling {
        case .reference(let slot):
            writer.append(TextMark.listReference)
            writer.appendInteger(slot)
        case .definition(let slot):
            writer.append(TextMark.listDefinition)
            writer.appendInteger(slot)
            append(recipients)
        case .change(let slot, let removed, let added):
            writer.append(TextMark.listChange)
            writer.appendInteger(slot)
            writer.appendInteger(removed.count)
            var next = 0
            for index in removed {
                writer.appendInteger(index - next)
                next = index + 1
            }
            append(added)
        }
    }

    private mutating func append(_ recipients: [[UInt8]]) {
        writer.appendInteger(recipients.count)
        for recipient in recipients {
            writer.append(recipient)
            writer.append(TextMark.stop)
        }
    }

    private mutating func append(ageSeconds: UInt32) {
        guard ageSeconds > 0 else { return }
        writer.append(TextMark.age)
        writer.appendInteger(Int(ageSeconds))
    }

    /// Adds a part of a stanza's canonical bytes that begins at `offset`; the whole has `total` bytes.
    package mutating func appendFragment(_ bytes: ByteBuffer, offset: UInt32, total: UInt32, ageSeconds: UInt32) {
        append(ageSeconds: ageSeconds)
        writer.append(TextMark.fragment)
        for value in [offset, total, UInt32(bytes.readableBytes)] { writer.appendInteger(Int(value)) }
        writer.append(bytes.readableBytesView)
        stanzas += 1
        expandedBytes += bytes.readableBytes
        spelledBytes += bytes.readableBytes
    }

    /// Appends the body to `block` and begins the next one.
    ///
    /// - Returns: the text of the block, which is history for the next.
    package mutating func finish(into block: inout ByteBuffer) -> ByteBuffer {
        let text = ByteBuffer(bytes: writer.takeText())
        compressed.clear()
        if text.readableBytes > 0 {
            deflater.add(text, into: &compressed)
            deflater.flush(into: &compressed)
            // Every flush ends with the same four bytes: the receiver puts them back.
            compressed.moveWriterIndex(to: compressed.writerIndex - 4)
        }
        let padding = padding(expanded: max(expandedBytes, text.readableBytes))
        block.writeVariableInteger(UInt64(writer.raw.count + padding))
        block.writeBytes(writer.raw)
        block.writeRepeatingByte(0, count: padding)
        block.writeImmutableBuffer(compressed)
        writer.clearRaw()
        stanzas = 0
        expandedBytes = 0
        spelledBytes = 0
        return text
    }

    /// What has to be added to the raw section: for the wanted multiple, and for text that compresses too well.
    private func padding(expanded: Int) -> Int {
        let multiple = max(1, paddingMultiple)
        let least = Self.integerBytes(writer.raw.count) + writer.raw.count + compressed.readableBytes
        var target = max(least, limits.bodyBytes(forExpandedBytes: expanded))
        target = (target + multiple - 1) / multiple * multiple
        while true {
            for size in 1...5 {
                let count = target - compressed.readableBytes - size
                if count >= writer.raw.count, Self.integerBytes(count) == size { return count - writer.raw.count }
            }
            target += multiple
        }
    }

    private static func integerBytes(_ value: Int) -> Int { max(1, (Int.bitWidth - value.leadingZeroBitCount + 6) / 7) }
}
