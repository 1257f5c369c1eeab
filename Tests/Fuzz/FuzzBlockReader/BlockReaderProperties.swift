import Blocks
import NIOCore
import TestSupport
import XMPP

/// What must hold of the reader of blocks for any input whatever.
///
/// The first byte chooses what the rest is: 0 blocks as they come on a connection, 1 a compressed body, 2 the text of a body
/// (compressed here, so that the fuzzer reaches what is behind a sound DEFLATE stream) with its raw section, 3 stanzas of its
/// own, to be encoded and decoded, 4 a history before 3. The decoder is not fresh: it has read traffic and knows phrases,
/// ids and a list, which the input may refer to.
enum BlockReaderProperties {
    private static let limits: BlockLimits = {
        var limits = BlockLimits()
        limits.textBytes = 1 << 18
        limits.allowanceBytes = 1 << 16
        limits.stanzas = 64
        limits.stanzaBytes = 1 << 14
        return limits
    }()

    /// - Returns: what does not hold, or nil.
    static func violation(in input: [UInt8]) -> String? {
        guard let kind = input.first else { return nil }
        let rest = Array(input.dropFirst())
        switch kind % 5 {
        case 0: return blocks(rest)
        case 1: return body(ByteBuffer(bytes: rest))
        case 2: return text(rest)
        case 3: return roundTrip(rest, history: [])
        default:
            let cut = Int(rest.first ?? 0) * 4
            return roundTrip(Array(rest.dropFirst(cut)), history: Array(rest.prefix(cut)))
        }
    }

    // MARK: Blocks

    /// A header is read the same whether its bytes come at once or one by one, and what was read is written the same.
    private static func blocks(_ bytes: [UInt8]) -> String? {
        var whole = ByteBuffer(bytes: bytes)
        while whole.readableBytes > 0 {
            let before = whole
            let header: BlockHeader
            do throws(BlockError) {
                guard let read = try BlockHeader(reading: &whole) else {
                    return whole == before ? nil : "bytes were read of a header that is not whole"
                }
                header = read
            } catch { return nil }
            let size = before.readableBytes - whole.readableBytes
            for count in 0..<size {
                var part = before.getSlice(at: before.readerIndex, length: count) ?? ByteBuffer()
                do throws(BlockError) {
                    if try BlockHeader(reading: &part) != nil { return "a header of fewer bytes" }
                } catch { return "a refusal of what becomes a header" }
            }
            var again = ByteBuffer()
            header.encode(into: &again)
            // Context 0 may be spelled out, and is left out when written.
            if header.body?.context != 0 || !hasContext(before),
                again != before.getSlice(at: before.readerIndex, length: size)
            {
                return "a header that is written otherwise than it was read"
            }
            guard let length = header.body?.length, let content = whole.readSlice(length: min(length, whole.readableBytes)) else {
                continue
            }
            if let violation = body(content) { return violation }
        }
        return nil
    }

    private static func hasContext(_ header: ByteBuffer) -> Bool {
        (header.getInteger(at: header.readerIndex, as: UInt8.self) ?? 0) & 0x20 != 0
    }

    // MARK: Bodies

    private static func body(_ body: ByteBuffer) -> String? {
        let context = Context()
        do throws(BlockError) {
            return violation(try context.decoder.decode(body), bodyBytes: body.readableBytes)
        } catch { return nil }
    }

    /// Text with the first bytes as its raw section.
    private static func text(_ bytes: [UInt8]) -> String? {
        let rawCount = min(Int(bytes.first ?? 0) % 64, max(bytes.count - 1, 0))
        let raw = bytes.dropFirst().prefix(rawCount)
        var body = ByteBuffer()
        body.writeVariableInteger(UInt64(raw.count))
        body.writeBytes(raw)
        var deflater = Deflater(level: 1)
        var compressed = ByteBuffer()
        deflater.add(ByteBuffer(bytes: bytes.dropFirst(1 + rawCount)), into: &compressed)
        deflater.flush(into: &compressed)
        body.writeBytes(compressed.readableBytesView.dropLast(4))
        return Self.body(body)
    }

    private static func violation(_ decoded: DecodedBody, bodyBytes: Int) -> String? {
        let room = limits.allowanceBytes + bodyBytes * limits.ratio
        if decoded.text.readableBytes > min(room, limits.textBytes) { return "more text than the limits allow" }
        var bytes = 0
        var count = 0
        for record in decoded.records {
            switch record {
            case .stanzas(let stanzas, _):
                if stanzas.isEmpty { return "a record of no stanzas" }
                for stanza in stanzas {
                    bytes += stanza.byteCount
                    count += 1
                    if stanza.kind == .other { return "something else than a stanza" }
                    if let violation = fixedPointViolation(stanza) { return violation }
                }
                if stanzas.count > 1, stanzas.contains(where: { $0.to == nil }) { return "a recipient that is no address" }
            case .poison(let poison, _):
                bytes += poison.readableBytes
                count += 1
            case .fragment(let part, let offset, let total, _):
                count += 1
                bytes += part.readableBytes
                if Int(offset) + part.readableBytes > Int(total) { return "a part beyond its stanza" }
            }
        }
        // What the reader writes anew may be a little longer than what it read.
        if bytes > 8 * min(room, limits.textBytes) { return "more stanzas than the limits allow" }
        return count > limits.stanzas ? "more stanzas than the limit" : nil
    }

    private static func fixedPointViolation(_ stanza: Stanza) -> String? {
        var bytes = ByteBuffer()
        stanza.write(to: &bytes)
        do throws(StreamError) {
            return try StanzaReader(limits: .link).read(bytes) == stanza ? nil : "a stanza that is read otherwise again"
        } catch { return "a stanza that is not read again" }
    }

    // MARK: Round trip

    /// Whatever stanzas the input holds come out as they went in, after any history.
    private static func roundTrip(_ bytes: [UInt8], history: [UInt8]) -> String? {
        let reader = StreamReader(limits: .link, root: .implicit(XMLNamespace.server))
        var buffer = ByteBuffer(bytes: bytes)
        reader.read(&buffer)
        var stanzas: [Stanza] = []
        while let event = reader.nextEvent() {
            if case .stanza(let stanza) = event, stanza.kind != .other { stanzas.append(stanza) }
        }
        guard !stanzas.isEmpty else { return nil }
        let history = ByteBuffer(bytes: history)
        var encoder = BodyEncoder(level: 1, history: history)
        var decoder = BodyDecoder(history: history, limits: BlockLimits())
        for _ in 0..<3 {
            for stanza in stanzas { encoder.append(stanza, ageSeconds: 0) }
            var body = ByteBuffer()
            let text = encoder.finish(into: &body)
            do throws(BlockError) {
                let decoded = try decoder.decode(body)
                if decoded.text != text { return "another text" }
                if decoded.records != stanzas.map({ .stanzas([$0], ageSeconds: 0) }) { return "other stanzas" }
            } catch { return "a body that is refused" }
        }
        return nil
    }

    /// A decoder in the middle of its life.
    private final class Context {
        var decoder = BodyDecoder(history: ByteBuffer(), limits: BlockReaderProperties.limits)

        init() {
            let xml = "<message to='b@y.example' from='a@x.example/r' type='chat' id='00112233-4455-4677-8899-aabbccddeeff'>"
                + "<body>hi</body><x xmlns='u:x' id='v'/><y xmlns='u:y' id='00000041'/><z xmlns='u:z' id='ffffffff'/></message>"
            guard let stanza = try? StanzaReader(limits: .link).read(ByteBuffer(string: xml)) else { return }
            var encoder = BodyEncoder(level: 1, history: ByteBuffer())
            for _ in 0..<3 { encoder.append(stanza, ageSeconds: 0) }
            _ = encoder.append(stanza, recipients: ["b", "c"].map { Array("\($0)@y.example".utf8) }, ageSeconds: 0)
            var body = ByteBuffer()
            _ = encoder.finish(into: &body)
            _ = try? decoder.decode(body)
        }
    }
}
