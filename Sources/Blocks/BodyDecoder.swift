package import NIOCore
package import XMPP

/// The content of one block.
package struct DecodedBody {
    package enum Record: Equatable, Sendable {
        /// One outbox entry of the sender: usually one stanza, several where a recipient list was expanded. Takes one number.
        case stanzas([Stanza], ageSeconds: UInt32)
        /// Bytes that are no stanza within the limits: takes one number, and is set aside.
        case poison(ByteBuffer, reason: String)
        /// A part of a stanza; the number is taken by the part that completes it.
        case fragment(ByteBuffer, offset: UInt32, total: UInt32, ageSeconds: UInt32)
    }

    package var records: [Record] = []
    /// The text of the block, which is history for the next.
    package var text = ByteBuffer()
}

/// Reads block bodies of one compression context, in the order in which they were written.
///
/// What a body may cost is bounded before it is paid: text by the size of the body (``BlockLimits/ratio``), stanzas made of
/// the text by the same measure again, and their number. A record that is no acceptable stanza is poison, and the rest of
/// the block goes on; text that breaks the rules of the text itself can only come from a broken sender and ends all.
package struct BodyDecoder: ~Copyable {
    private var inflater = Inflater()
    private var expander: TextExpander
    private let limits: BlockLimits
    private let reader: StanzaReader

    package init(history: ByteBuffer, limits: BlockLimits) {
        self.limits = limits
        var xml = XMLLimits.link
        xml.stanzaBytes = limits.stanzaBytes
        reader = StanzaReader(limits: xml)
        inflater.setHistory(history)
        expander = TextExpander(history: Array(history.readableBytesView.suffix(ContextLimits.historyBytes)))
    }

    /// - Throws: ``BlockError`` after which this decoder is of no more use.
    package mutating func decode(_ body: ByteBuffer) throws(BlockError) -> DecodedBody {
        let room = limits.expandedBytes(forBodyBytes: body.readableBytes)
        var input = body
        guard let rawCount = try input.readVariableInteger(), let raw = input.readBytes(length: Int(clamping: rawCount)) else {
            throw .malformed("a body that ends early")
        }
        var decoded = DecodedBody()
        decoded.text = try inflate(&input, room: room)
        expander.begin(text: Array(decoded.text.readableBytesView), raw: raw)
        var budget = Budget(bytes: room, stanzas: limits.stanzas)
        while expander.next != nil {
            decoded.records.append(try record(&budget))
        }
        expander.begin(text: [], raw: [])
        return decoded
    }

    /// What the rest of a block may still expand to.
    private struct Budget {
        var bytes: Int
        var stanzas: Int

        mutating func spend(bytes spent: Int, stanzas count: Int) throws(BlockError) {
            bytes -= spent
            stanzas -= count
            guard bytes >= 0 else { throw .tooLarge("the stanzas of a block") }
            guard stanzas >= 0 else { throw .tooLarge("the number of stanzas in a block") }
        }
    }

    private mutating func inflate(_ input: inout ByteBuffer, room: Int) throws(BlockError) -> ByteBuffer {
        var text = ByteBuffer()
        guard input.readableBytes > 0 else { return text }
        // What every flush ends with and the sender left out.
        input.writeBytes([0x00, 0x00, 0xFF, 0xFF])
        let piece = 16_384
        do throws(InflateError) {
            while try inflater.inflate(&input, into: &text, limit: piece) == piece, text.readableBytes <= room {}
        } catch { throw .damaged }
        guard text.readableBytes <= room else { throw .tooLarge("the text of a block") }
        guard !inflater.isFinished, input.readableBytes == 0 else { throw .damaged }
        return text
    }

    private mutating func record(_ budget: inout Budget) throws(BlockError) -> DecodedBody.Record {
        var age: UInt32 = 0
        if expander.next == TextMark.age {
            expander.skip()
            age = UInt32(try expander.integer(atMost: UInt64(UInt32.max)))
        }
        switch expander.next {
        case TextMark.fragment:
            expander.skip()
            return try fragment(age, &budget)
        case TextMark.folded:
            expander.skip()
            return try folded(age, &budget)
        case TextMark.plain:
            expander.skip()
            let bytes = try expander.bytes(try expander.integer(atMost: UInt64(limits.textBytes)))
            try budget.spend(bytes: bytes.count, stanzas: 1)
            return stanzas([ByteBuffer(bytes: bytes)], age, recipients: nil)
        default:
            let (bytes, recipient) = try expander.stanza(room: budget.bytes)
            guard recipient == nil else { throw .malformed("a recipient without a list") }
            try budget.spend(bytes: bytes.count, stanzas: 1)
            return stanzas([ByteBuffer(bytes: bytes)], age, recipients: nil)
        }
    }

    private mutating func fragment(_ age: UInt32, _ budget: inout Budget) throws(BlockError) -> DecodedBody.Record {
        let most = UInt64(UInt32.max)
        let offset = try expander.integer(atMost: most)
        let total = try expander.integer(atMost: most)
        let bytes = try expander.bytes(try expander.integer(atMost: most))
        try budget.spend(bytes: bytes.count, stanzas: 1)
        guard offset + bytes.count <= total else { throw .malformed("a part beyond its stanza") }
        return .fragment(
            ByteBuffer(bytes: bytes), offset: UInt32(offset), total: UInt32(total), ageSeconds: age)
    }

    private mutating func folded(_ age: UInt32, _ budget: inout Budget) throws(BlockError) -> DecodedBody.Record {
        let recipients = try expander.recipients()
        let (bytes, place) = try expander.stanza(room: budget.bytes)
        guard let place else { throw .malformed("a list without a recipient") }
        // Paid for before anything is made.
        try budget.spend(
            bytes: recipients.reduce(0) { $0 + $1.count + bytes.count }, stanzas: recipients.count)
        let copies = recipients.map { recipient in
            var copy = ByteBuffer()
            copy.reserveCapacity(bytes.count + recipient.count)
            copy.writeBytes(bytes[..<place])
            copy.writeBytes(recipient)
            copy.writeBytes(bytes[place...])
            return copy
        }
        return stanzas(copies, age, recipients: recipients.count)
    }

    /// Reads what was expanded as XML, by the same parser and limits as any stream.
    ///
    /// - Parameter recipients: how many a list has. Then every stanza must come out as it was put together: what is put
    ///   in the place of the recipient must be an address in canonical form.
    private func stanzas(_ copies: [ByteBuffer], _ age: UInt32, recipients: Int?) -> DecodedBody.Record {
        var stanzas: [Stanza] = []
        stanzas.reserveCapacity(copies.count)
        for copy in copies {
            let stanza: Stanza
            do throws(StreamError) { stanza = try reader.read(copy) } catch {
                return .poison(copy, reason: error.text ?? error.condition.rawValue)
            }
            guard stanza.kind != .other else { return .poison(copy, reason: "neither message, presence nor iq") }
            if recipients != nil {
                guard stanza.to != nil, stanza.hasBytes(copy) else {
                    return .poison(copy, reason: "a recipient that is no address")
                }
            }
            stanzas.append(stanza)
        }
        return .stanzas(stanzas, ageSeconds: age)
    }
}
