/// Reads the text of one compression context: follows the sender's definitions and puts ids back.
///
/// Everything it reads was chosen by the peer. What it makes is bounded by the `room` that the caller gives, whatever the
/// text says.
struct TextExpander {
    private var phrases: [Int: [UInt8]] = [:]
    private var recent: [[UInt8]] = []
    private var nextRecent = 0
    private var serial = SerialIDs()
    private(set) var lists = RecipientLists()

    /// The block that is being read.
    private var text: [UInt8] = []
    private var position = 0
    private var raw: [UInt8] = []
    private var rawPosition = 0

    init(history: [UInt8]) {
        for definition in PhraseScan.definitions(in: history) {
            phrases[definition.slot] = Array(definition.phrase)
        }
    }

    mutating func begin(text: [UInt8], raw: [UInt8]) {
        self.text = text
        self.raw = raw
        position = 0
        rawPosition = 0
    }

    /// The next byte, not read.
    var next: UInt8? { position < text.count ? text[position] : nil }

    mutating func skip() { position += 1 }

    mutating func byte() throws(BlockError) -> UInt8 {
        guard position < text.count else { throw .malformed("text that ends early") }
        position += 1
        return text[position - 1]
    }

    mutating func integer(atMost limit: UInt64) throws(BlockError) -> Int {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try byte()
            guard shift < 63, byte != 0 || shift == 0 else { throw .malformed("an integer in the text") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { break }
            shift += 7
        }
        guard value <= limit else { throw .tooLarge("an integer in the text") }
        return Int(value)
    }

    mutating func bytes(_ count: Int) throws(BlockError) -> ArraySlice<UInt8> {
        guard count <= text.count - position else { throw .malformed("text that ends early") }
        position += count
        return text[position - count..<position]
    }

    /// Literal bytes up to a stop, which is read as well.
    private mutating func literal(atMost limit: Int) throws(BlockError) -> ArraySlice<UInt8> {
        let start = position
        while position < text.count, TextMark.isLiteral(text[position]) { position += 1 }
        guard try byte() == TextMark.stop else { throw .malformed("a mark in a value") }
        guard position - 1 - start <= limit else { throw .tooLarge("a value") }
        return text[start..<position - 1]
    }

    // MARK: Stanzas

    /// Expands one stanza, its end included.
    ///
    /// - Parameter room: bytes that it may have.
    /// - Returns: its bytes, and where in them the recipient is missing.
    mutating func stanza(room: Int) throws(BlockError) -> (bytes: [UInt8], recipient: Int?) {
        var output: [UInt8] = []
        output.reserveCapacity(512)
        var recipient: Int?
        while true {
            guard output.count <= room else { throw .tooLarge("the stanzas of a block") }
            let start = position
            while position < text.count, TextMark.isLiteral(text[position]) { position += 1 }
            output.append(contentsOf: text[start..<position])
            let mark = try byte()
            switch mark {
            case TextMark.end:
                guard output.count <= room else { throw .tooLarge("the stanzas of a block") }
                return (output, recipient)
            case TextMark.firstReference...TextMark.lastReference:
                guard let slot = PhraseScan.slot(mark, try byte()), let phrase = phrases[slot] else {
                    throw .malformed("a phrase that was never defined")
                }
                try expand(phrase[...], into: &output, recipient: &recipient, isPhrase: true)
            case TextMark.define:
                try expand(try definition()[...], into: &output, recipient: &recipient, isPhrase: true)
            case TextMark.uuid, TextMark.capitalUUID, TextMark.lastID, TextMark.recentID, TextMark.nearID,
                TextMark.nextLowerID, TextMark.nextUpperID:
                try expand([mark], into: &output, recipient: &recipient, isPhrase: false)
            case TextMark.hexadecimal, TextMark.capitalHexadecimal, TextMark.base64URL, TextMark.base64:
                try expand([mark, try byte()], into: &output, recipient: &recipient, isPhrase: false)
            case TextMark.message: output.append(contentsOf: Array("<message".utf8))
            case TextMark.presence: output.append(contentsOf: Array("<presence".utf8))
            case TextMark.iq: output.append(contentsOf: Array("<iq".utf8))
            case TextMark.recipient:
                try expand([mark], into: &output, recipient: &recipient, isPhrase: false)
            default: throw .malformed("mark \(mark) in a stanza")
            }
        }
    }

    private mutating func definition() throws(BlockError) -> [UInt8] {
        let mark = try byte()
        guard let slot = PhraseScan.slot(mark, try byte()) else { throw .malformed("a phrase without a slot") }
        let start = position
        while position < text.count, PhraseScan.isPhraseByte(text[position]) { position += 1 }
        guard try byte() == TextMark.stop else { throw .malformed("a mark in a phrase") }
        let phrase = Array(text[start..<position - 1])
        guard !phrase.isEmpty, phrase.count <= ContextLimits.phraseBytes else { throw .tooLarge("a phrase") }
        phrases[slot] = phrase
        return phrase
    }

    private mutating func expand(
        _ phrase: ArraySlice<UInt8>, into output: inout [UInt8], recipient: inout Int?, isPhrase: Bool
    ) throws(BlockError) {
        var index = phrase.startIndex
        while index < phrase.endIndex {
            let start = index
            while index < phrase.endIndex, TextMark.isLiteral(phrase[index]) { index += 1 }
            output.append(contentsOf: phrase[start..<index])
            guard index < phrase.endIndex else { return }
            let mark = phrase[index]
            index += 1
            switch mark {
            case TextMark.recipient:
                guard recipient == nil else { throw .malformed("two recipients in one stanza") }
                recipient = output.count
            case TextMark.value where isPhrase:
                output.append(contentsOf: try literal(atMost: 524_288))
            case TextMark.lastID: output.append(contentsOf: try recentID(0))
            case TextMark.recentID: output.append(contentsOf: try recentID(Int(try rawBytes(1).first ?? 0)))
            case TextMark.nearID: try appendSerialID(serial.near(try rawBytes(1).first ?? 0), to: &output)
            case TextMark.nextLowerID, TextMark.nextUpperID: try appendSerialID(serial.next(mark), to: &output)
            case TextMark.uuid, TextMark.capitalUUID: try appendID(mark, 16, to: &output)
            case TextMark.hexadecimal, TextMark.capitalHexadecimal, TextMark.base64URL, TextMark.base64:
                guard index < phrase.endIndex, phrase[index] > 0x20, phrase[index] <= 0x20 + 96 else {
                    throw .malformed("the length of an id")
                }
                try appendID(mark, Int(phrase[index] - 0x20), to: &output)
                index += 1
            default: throw .malformed("mark \(mark) in a phrase")
            }
        }
    }

    // MARK: Ids

    private mutating func rawBytes(_ count: Int) throws(BlockError) -> ArraySlice<UInt8> {
        guard count <= raw.count - rawPosition else { throw .malformed("a raw section that ends early") }
        rawPosition += count
        return raw[rawPosition - count..<rawPosition]
    }

    private mutating func appendID(_ mark: UInt8, _ count: Int, to output: inout [UInt8]) throws(BlockError) {
        let bytes = try rawBytes(count)
        if RawID.Kind(mark: mark, count: count) == SerialIDs.kind { serial.remember(SerialIDs.number(bytes)) }
        append(bytes, mark, to: &output)
    }

    private mutating func appendSerialID(_ number: UInt32?, to output: inout [UInt8]) throws(BlockError) {
        guard let number else { throw .malformed("an id that follows none") }
        serial.remember(number)
        append(SerialIDs.bytes(number), SerialIDs.kind.mark, to: &output)
    }

    /// Appends an id and remembers it.
    private mutating func append(_ bytes: ArraySlice<UInt8>, _ mark: UInt8, to output: inout [UInt8]) {
        var id: [UInt8] = []
        id.reserveCapacity(ContextLimits.recentIDBytes)
        RawID.unpack(bytes, mark, into: &id)
        output.append(contentsOf: id)
        guard id.count <= ContextLimits.recentIDBytes else { return }
        if recent.count < ContextLimits.recentIDs {
            recent.append(id)
        } else {
            recent[nextRecent] = id
        }
        nextRecent = (nextRecent + 1) % ContextLimits.recentIDs
    }

    private func recentID(_ age: Int) throws(BlockError) -> [UInt8] {
        guard age < recent.count else { throw .malformed("an id that was never sent") }
        return recent[(nextRecent - 1 - age + ContextLimits.recentIDs) % ContextLimits.recentIDs]
    }

    // MARK: Recipient lists

    /// Reads the naming of a list, after the mark of a folded record.
    mutating func recipients() throws(BlockError) -> [[UInt8]] {
        let mark = try byte()
        let slot = try integer(atMost: UInt64(ContextLimits.lists - 1))
        switch mark {
        case TextMark.listReference:
            guard let list = lists[slot] else { throw .malformed("a list that was never defined") }
            return list
        case TextMark.listDefinition: return try set(slot, try entries())
        case TextMark.listChange:
            guard let list = lists[slot] else { throw .malformed("a list that was never defined") }
            var removed: [Int] = []
            var next = 0
            for _ in 0..<(try integer(atMost: UInt64(list.count))) {
                let index = next + (try integer(atMost: UInt64(list.count)))
                guard index < list.count else { throw .malformed("a list that is shorter") }
                removed.append(index)
                next = index + 1
            }
            return try set(slot, RecipientLists.changed(list, removed: removed, added: try entries()))
        default: throw .malformed("mark \(mark) for a list")
        }
    }

    private mutating func entries() throws(BlockError) -> [[UInt8]] {
        var entries: [[UInt8]] = []
        for _ in 0..<(try integer(atMost: UInt64(ContextLimits.recipients))) {
            let entry = try literal(atMost: ContextLimits.listBytes)
            guard !entry.contains(UInt8(ascii: "'")), !entry.contains(UInt8(ascii: "<")) else {
                throw .malformed("a recipient that is more than a value")
            }
            entries.append(Array(entry))
        }
        return entries
    }

    private mutating func set(_ slot: Int, _ list: [[UInt8]]) throws(BlockError) -> [[UInt8]] {
        guard RecipientLists.isAcceptable(list) else { throw .tooLarge("a recipient list") }
        lists.set(slot, list)
        return list
    }
}
