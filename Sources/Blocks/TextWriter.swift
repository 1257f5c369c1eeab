import Glibc
import XMPP

/// Writes stanzas as text of one compression context: phrases for what repeats, marks for ids, the rest as it stands.
///
/// DEFLATE would find most of this by itself, but at the price of looking at every byte; and ids are noise to it.
struct TextWriter {
    /// Less would hardly be longer than the reference.
    static let leastPhrase = 5

    /// The text of the block under construction.
    private(set) var text: [UInt8] = []
    /// The raw section of the block under construction.
    private(set) var raw: [UInt8] = []
    /// Where the block's text begins in the context's text.
    private var start: Int
    private var phrases: PhraseTable
    private var recent = RecentIDs()
    private var serial = SerialIDs()

    /// The markup between two pieces of character data, ids replaced by marks.
    private var run: [UInt8] = []
    /// Where the tags of `run` end.
    private var tagEnds: [Int] = []
    /// Values that stay text: their mark's place in `run`, and where they are in the stanza.
    private var values: [(place: Int, range: Range<Int>)] = []

    init(history: [UInt8]) {
        start = history.count
        phrases = PhraseTable(history: history)
    }

    /// Begins the next block and gives away what this one has.
    mutating func takeText() -> [UInt8] {
        start += text.count
        let taken = text
        text = []
        text.reserveCapacity(taken.count)
        return taken
    }

    mutating func clearRaw() { raw.removeAll(keepingCapacity: true) }

    // MARK: Pieces that records are made of

    mutating func append(_ byte: UInt8) { text.append(byte) }

    mutating func append(_ bytes: some Collection<UInt8>) { text.append(contentsOf: bytes) }

    mutating func appendInteger(_ value: Int) {
        var rest = UInt64(value)
        while rest >= 0x80 {
            text.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        text.append(UInt8(truncatingIfNeeded: rest))
    }

    /// A record of bytes as they are.
    mutating func appendPlain(_ bytes: UnsafeRawBufferPointer) {
        text.append(TextMark.plain)
        appendInteger(bytes.count)
        unsafe text.append(contentsOf: bytes)
    }

    /// Whether bytes hold anything that would be taken for a mark; canonical stanzas never do.
    static func hasMarks(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset < bytes.count {
            if offset + 8 <= bytes.count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                if (word &- 0x2020_2020_2020_2020) & ~word & 0x8080_8080_8080_8080 == 0 {
                    offset += 8
                    continue
                }
            }
            let end = min(offset + 8, bytes.count)
            while offset < end {
                guard unsafe TextMark.isLiteral(bytes[offset]) else { return true }
                offset += 1
            }
        }
        return false
    }

    // MARK: A stanza

    /// Writes a stanza's canonical bytes, which must not hold marks, and its end.
    ///
    /// - Parameter recipient: where the value of `to` stands, when the text is to be for several recipients.
    mutating func appendStanza(_ bytes: UnsafeRawBufferPointer, recipient: Range<Int>? = nil) {
        var position = unsafe appendAddresses(bytes, recipient)
        while position < bytes.count {
            unsafe position = readRun(bytes, from: position)
            unsafe appendRun(bytes)
            let end = unsafe Self.index(of: UInt8(ascii: "<"), in: bytes, from: position)
            unsafe text.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[position..<end]))
            position = end
        }
        text.append(TextMark.end)
    }

    /// The pieces of a stanza that could become phrases, its addresses left out: each run of markup between character data,
    /// and its tags where it has several.
    mutating func pieces(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var position = unsafe appendAddresses(bytes, nil)
        while position < bytes.count {
            unsafe position = readRun(bytes, from: position)
            found.append(run)
            var begin = 0
            for end in tagEnds where tagEnds.count > 1 {
                found.append(Array(run[begin..<end]))
                begin = end
            }
            unsafe position = Self.index(of: UInt8(ascii: "<"), in: bytes, from: position)
        }
        text.removeAll(keepingCapacity: true)
        raw.removeAll(keepingCapacity: true)
        return found
    }

    private static func nameEnd(_ bytes: UnsafeRawBufferPointer) -> Int {
        var index = 0
        while index < bytes.count, unsafe bytes[index] != 0x20, unsafe bytes[index] != 0x3E, unsafe bytes[index] != 0x2F {
            index += 1
        }
        return index
    }

    /// `to` is a phrase, and so is `from`: people write to each other again and again, in stanzas of every kind.
    private mutating func appendAddresses(_ bytes: UnsafeRawBufferPointer, _ recipient: Range<Int>?) -> Int {
        var position = unsafe Self.nameEnd(bytes)
        if unsafe Self.has("<message", in: bytes, at: 0), position == 8 {
            text.append(TextMark.message)
        } else if unsafe Self.has("<presence", in: bytes, at: 0), position == 9 {
            text.append(TextMark.presence)
        } else if unsafe Self.has("<iq", in: bytes, at: 0), position == 3 {
            text.append(TextMark.iq)
        } else {
            guard recipient != nil else { return 0 }
            unsafe text.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<position]))
        }
        if !values.isEmpty { values.removeAll(keepingCapacity: true) }
        if let recipient {
            text.append(contentsOf: Array(" to='".utf8))
            text.append(TextMark.recipient)
            text.append(UInt8(ascii: "'"))
            position = recipient.upperBound + 1
        } else if unsafe Self.has(" to='", in: bytes, at: position) {
            position = unsafe appendAddress(bytes, from: position, quote: position + 5)
        }
        if unsafe Self.has(" from='", in: bytes, at: position) {
            position = unsafe appendAddress(bytes, from: position, quote: position + 7)
        }
        return position
    }

    private mutating func appendAddress(_ bytes: UnsafeRawBufferPointer, from start: Int, quote: Int) -> Int {
        let end = unsafe min(Self.index(of: UInt8(ascii: "'"), in: bytes, from: quote) + 1, bytes.count)
        run.removeAll(keepingCapacity: true)
        unsafe append(bytes, start..<end)
        unsafe appendPhrase(0..<run.count, bytes)
        return end
    }

    /// Collects the tags up to the next character data, or the stanza's end.
    ///
    /// - Parameter position: at a tag's beginning, or inside it.
    /// - Returns: where the tags end.
    private mutating func readRun(_ bytes: UnsafeRawBufferPointer, from position: Int) -> Int {
        run.removeAll(keepingCapacity: true)
        tagEnds.removeAll(keepingCapacity: true)
        if !values.isEmpty { values.removeAll(keepingCapacity: true) }
        var position = position
        var copied = position
        var tag = position
        while true {
            let stop = unsafe Self.quoteOrTagEnd(bytes, from: position)
            if stop >= bytes.count {
                // Not the end that a stanza has; what is there is text all the same.
                unsafe append(bytes, copied..<bytes.count)
                tagEnds.append(run.count)
                return bytes.count
            }
            position = stop + 1
            if unsafe bytes[stop] == UInt8(ascii: ">") {
                unsafe append(bytes, copied..<position)
                copied = position
                tagEnds.append(run.count)
                guard position < bytes.count, unsafe bytes[position] == UInt8(ascii: "<") else { return position }
                tag = position
                continue
            }
            let end = unsafe Self.index(of: UInt8(ascii: "'"), in: bytes, from: position)
            // An occupant's id is his for good: better a part of the phrase.
            if unsafe Self.has(" id=", in: bytes, at: stop - 4), unsafe !Self.has("<occupant-id", in: bytes, at: tag) {
                unsafe append(bytes, copied..<position)
                unsafe appendID(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), position..<end)
                copied = end
            }
            position = min(end + 1, bytes.count)
        }
    }

    private mutating func appendID(_ id: UnsafeRawBufferPointer, _ range: Range<Int>) {
        if let age = unsafe recent.find(id) {
            run.append(age == 0 ? TextMark.lastID : TextMark.recentID)
            if age > 0 { raw.append(UInt8(truncatingIfNeeded: age)) }
        } else if let kind = unsafe RawID.pack(id, into: &raw) {
            if kind == SerialIDs.kind, let (mark, distance) = serial.note(SerialIDs.number(raw.suffix(kind.count))) {
                raw.removeLast(kind.count)
                run.append(mark)
                if let distance { raw.append(distance) }
            } else {
                run.append(kind.mark)
                if let length = kind.lengthByte { run.append(length) }
            }
            unsafe recent.remember(id)
        } else {
            values.append((run.count, range))
            run.append(TextMark.value)
        }
    }

    private mutating func appendRun(_ bytes: UnsafeRawBufferPointer) {
        guard tagEnds.count > 1 else { return unsafe appendPhrase(0..<run.count, bytes) }
        if run.count <= ContextLimits.phraseBytes {
            let hash = PhraseTable.hash(run[...])
            if let slot = phrases.slot(of: run[...], hash: hash) {
                return unsafe appendReference(slot, 0..<run.count, bytes)
            }
            if phrases.noteSeen(hash) { return unsafe appendDefinition(hash, 0..<run.count, bytes) }
        }
        var begin = 0
        for end in tagEnds {
            unsafe appendPhrase(begin..<end, bytes)
            begin = end
        }
    }

    /// Writes a part of `run` in the shortest way there is.
    private mutating func appendPhrase(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        guard range.count >= Self.leastPhrase, range.count <= ContextLimits.phraseBytes else {
            return unsafe appendText(range, bytes)
        }
        let hash = PhraseTable.hash(run[range])
        if let slot = phrases.slot(of: run[range], hash: hash) {
            unsafe appendReference(slot, range, bytes)
        } else if phrases.noteSeen(hash) {
            unsafe appendDefinition(hash, range, bytes)
        } else {
            unsafe appendText(range, bytes)
        }
    }

    private mutating func appendReference(_ slot: Int, _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        guard !phrases.use(slot, position: start + text.count) else { return unsafe writeDefinition(slot, range, bytes) }
        let (mark, byte) = PhraseScan.bytes(ofSlot: slot)
        text.append(mark)
        text.append(byte)
        unsafe appendValues(range, bytes)
    }

    private mutating func appendDefinition(_ hash: UInt64, _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        let slot = phrases.define(run[range], hash: hash, position: start + text.count)
        unsafe writeDefinition(slot, range, bytes)
    }

    private mutating func writeDefinition(_ slot: Int, _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        let (mark, byte) = PhraseScan.bytes(ofSlot: slot)
        text.append(TextMark.define)
        text.append(mark)
        text.append(byte)
        text.append(contentsOf: run[range])
        text.append(TextMark.stop)
        unsafe appendValues(range, bytes)
    }

    /// The values of a phrase follow its reference.
    private mutating func appendValues(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        for value in values where range.contains(value.place) {
            unsafe text.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[value.range]))
            text.append(TextMark.stop)
        }
    }

    /// A part of `run` as it stands, its values in their places.
    private mutating func appendText(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
        var copied = range.lowerBound
        for value in values where range.contains(value.place) {
            text.append(contentsOf: run[copied..<value.place])
            unsafe text.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[value.range]))
            copied = value.place + 1
        }
        text.append(contentsOf: run[copied..<range.upperBound])
    }

    @inline(__always)
    private mutating func append(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        unsafe run.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[range]))
    }

    // MARK: Looking for bytes

    /// Where a byte stands next; the end where it does not.
    @inline(__always)
    private static func index(of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        guard start < bytes.count, let base = bytes.baseAddress,
            let found = unsafe memchr(base + start, Int32(byte), bytes.count - start)
        else { return bytes.count }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Where the next quote or `>` stands; the end where there is none. A `>` inside a value is behind a quote.
    @inline(__always)
    private static func quoteOrTagEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index + 8 <= bytes.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self).littleEndian
            let quotes = word ^ 0x2727_2727_2727_2727
            let ends = word ^ 0x3E3E_3E3E_3E3E_3E3E
            let found =
                ((quotes &- 0x0101_0101_0101_0101) & ~quotes | (ends &- 0x0101_0101_0101_0101) & ~ends)
                & 0x8080_8080_8080_8080
            if found != 0 { return index + found.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count, unsafe bytes[index] != 0x27, unsafe bytes[index] != 0x3E { index += 1 }
        return index
    }

    @inline(__always)
    private static func has(_ literal: StaticString, in bytes: UnsafeRawBufferPointer, at start: Int) -> Bool {
        guard start >= 0, start + literal.utf8CodeUnitCount <= bytes.count, let base = bytes.baseAddress else { return false }
        return unsafe memcmp(base + start, literal.utf8Start, literal.utf8CodeUnitCount) == 0
    }
}
