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
package struct BodyDecoder: ~Copyable {
    private var inflater = Inflater()
    private let limits: BlockLimits
    private let reader: StanzaReader

    package init(history: ByteBuffer, limits: BlockLimits) {
        self.limits = limits
        var xml = XMLLimits.local
        xml.stanzaBytes = limits.stanzaBytes
        reader = StanzaReader(limits: xml)
        inflater.setHistory(history)
    }

    /// - Throws: ``BlockError`` after which this decoder is of no more use.
    package mutating func decode(_ body: ByteBuffer) throws(BlockError) -> DecodedBody {
        var input = body
        input.writeBytes([0x00, 0x00, 0xFF, 0xFF])
        var decoded = DecodedBody()
        do throws(InflateError) {
            while true {
                guard decoded.text.readableBytes <= limits.textBytes else { break }
                let count = try inflater.inflate(&input, into: &decoded.text, limit: 16_384)
                if count < 16_384 { break }
            }
        } catch { throw .damaged }
        guard decoded.text.readableBytes <= limits.textBytes else { throw .tooLarge("the text of a block") }
        var text = decoded.text
        while let kind: UInt8 = text.readInteger() {
            switch kind {
            case 1, 2:
                let age = kind == 1 ? 0 : UInt32(truncatingIfNeeded: try integer(&text))
                guard let bytes = text.readSlice(length: Int(clamping: try integer(&text))) else { throw .malformed("stanza") }
                do throws(StreamError) {
                    decoded.records.append(.stanzas([try reader.read(bytes)], ageSeconds: age))
                } catch { decoded.records.append(.poison(bytes, reason: error.condition.rawValue)) }
            case 3:
                let offset = try integer(&text)
                let total = try integer(&text)
                let age = try integer(&text)
                guard let bytes = text.readSlice(length: Int(clamping: try integer(&text))) else { throw .malformed("part") }
                decoded.records.append(
                    .fragment(
                        bytes, offset: UInt32(clamping: offset), total: UInt32(clamping: total),
                        ageSeconds: UInt32(clamping: age)))
            default: throw .malformed("a record of kind \(kind)")
            }
            guard decoded.records.count <= limits.stanzas else { throw .tooLarge("the number of stanzas in a block") }
        }
        return decoded
    }

    private func integer(_ text: inout ByteBuffer) throws(BlockError) -> UInt64 {
        guard let value = try text.readVariableInteger() else { throw .malformed("a record that ends early") }
        return value
    }
}
