package import NIOCore

/// The part of the DNS wire format (RFC 1035 §4, RFC 2782, RFC 3596, RFC 6891) that asking for A, AAAA and SRV records
/// needs. Everything in an answer is hostile until it has been read: no pointer loop, length or count can make reading
/// one cost more than its size.
package struct DNSQuestion: Equatable, Sendable {
    package enum RecordType: UInt16, Sendable {
        case a = 1
        case cname = 5
        case aaaa = 28
        case srv = 33
    }

    /// Without the trailing dot.
    package var name: String
    package var type: RecordType

    package init(name: String, type: RecordType) {
        self.name = name.hasSuffix(".") ? String(name.dropLast()) : name
        self.type = type
    }

    /// Size of UDP answers that we take: what fits into an Ethernet frame (RFC 6891 §6.2.5).
    package static let maximumAnswerBytes = 1_232

    /// The query as bytes, or `nil` when the name cannot be one (RFC 1035 §2.3.4).
    package func encode(id: UInt16, into buffer: inout ByteBuffer) -> Bool {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.allSatisfy({ (1...63).contains($0.utf8.count) }),
            labels.reduce(1, { $0 + 1 + $1.utf8.count }) <= 255
        else { return false }
        buffer.writeInteger(id)
        buffer.writeInteger(UInt16(0x0100))  // a query, recursion desired
        buffer.writeInteger(UInt16(1))  // questions
        buffer.writeInteger(UInt16(0))
        buffer.writeInteger(UInt16(0))
        buffer.writeInteger(UInt16(1))  // additional: EDNS
        for label in labels {
            buffer.writeInteger(UInt8(truncatingIfNeeded: label.utf8.count))
            buffer.writeString(String(label))
        }
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(type.rawValue)
        buffer.writeInteger(UInt16(1))  // class IN
        // OPT: root name, our UDP size in the place of the class, no flags, no options (RFC 6891 §6.1.2).
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt16(41))
        buffer.writeInteger(UInt16(DNSQuestion.maximumAnswerBytes))
        buffer.writeInteger(UInt32(0))
        buffer.writeInteger(UInt16(0))
        return true
    }
}

/// An answer to a question, read and checked.
package struct DNSAnswer: Equatable, Sendable {
    package struct Service: Equatable, Sendable {
        package var priority: UInt16
        package var weight: UInt16
        package var port: UInt16
        /// Without the trailing dot; empty for the root, by which RFC 2782 means "decidedly not available".
        package var target: String

        package init(priority: UInt16, weight: UInt16, port: UInt16, target: String) {
            self.priority = priority
            self.weight = weight
            self.port = port
            self.target = target
        }
    }

    package enum Outcome: Equatable, Sendable {
        case answered
        /// NXDOMAIN: neither this nor any other record has the name.
        case noSuchName
        /// Any other response code (RFC 1035 §4.1.1).
        case refused(code: UInt8)
    }

    package enum DecodingError: Error, Equatable {
        /// The bytes end too early, or a name is malformed.
        case malformed
        /// Not an answer to this question: another id, name or type, or a query.
        case unrelated
        /// The server cut the answer (TC); the rest would have to be fetched over TCP.
        case truncated
    }

    package var outcome: Outcome
    /// Texts of A or AAAA records.
    package var addresses: [String] = []
    /// In the order of priority, then of the answer.
    package var services: [Service] = []

    package init(outcome: Outcome) {
        self.outcome = outcome
    }

    /// More records than this in an answer are not read.
    private static let maximumRecords = 128

    package static func decode(
        _ buffer: ByteBuffer, id: UInt16, question: DNSQuestion
    ) throws(DecodingError) -> DNSAnswer {
        var reader = Reader(bytes: Array(buffer.readableBytesView))
        guard try reader.integer16() == id else { throw .unrelated }
        let flags = try reader.integer16()
        guard flags & 0x8000 != 0, flags & 0x7800 == 0 else { throw .unrelated }
        let questions = try reader.integer16()
        let records = try reader.integer16()
        _ = try reader.integer16()
        _ = try reader.integer16()
        guard questions == 1 else { throw .unrelated }
        let name = try reader.name()
        let type = try reader.integer16()
        let klass = try reader.integer16()
        guard name == question.name.lowercased(), type == question.type.rawValue, klass == 1 else { throw .unrelated }
        guard flags & 0x0200 == 0 else { throw .truncated }
        switch flags & 0x000F {
        case 0: break
        case 3: return DNSAnswer(outcome: .noSuchName)
        case let code: return DNSAnswer(outcome: .refused(code: UInt8(code)))
        }
        var answer = DNSAnswer(outcome: .answered)
        for _ in 0..<min(Int(records), maximumRecords) {
            _ = try reader.name()
            let type = try reader.integer16()
            let klass = try reader.integer16()
            _ = try reader.integer16()  // time to live, two halves
            _ = try reader.integer16()
            let length = Int(try reader.integer16())
            let end = reader.position + length
            guard end <= reader.bytes.count else { throw .malformed }
            // CNAME chains need no care: a recursive server puts the wanted records behind them.
            if klass == 1, type == question.type.rawValue {
                try answer.take(question.type, from: &reader, length: length)
                guard reader.position <= end else { throw .malformed }
            }
            reader.position = end
        }
        answer.services = answer.services.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }.map(\.element)
        return answer
    }

    private mutating func take(
        _ type: DNSQuestion.RecordType, from reader: inout Reader, length: Int
    ) throws(DecodingError) {
        switch type {
        case .a:
            guard length == 4 else { throw .malformed }
            addresses.append(try reader.slice(4).map(String.init).joined(separator: "."))
        case .aaaa:
            guard length == 16 else { throw .malformed }
            let packed = ByteBuffer(bytes: try reader.slice(16))
            if let text = (try? SocketAddress(packedIPAddress: packed, port: 0))?.ipAddress { addresses.append(text) }
        case .srv:
            let priority = try reader.integer16()
            let weight = try reader.integer16()
            let port = try reader.integer16()
            services.append(Service(priority: priority, weight: weight, port: port, target: try reader.name()))
        case .cname:
            break
        }
    }

    private struct Reader {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        mutating func integer8() throws(DecodingError) -> UInt8 {
            guard position < bytes.count else { throw .malformed }
            defer { position += 1 }
            return bytes[position]
        }

        mutating func integer16() throws(DecodingError) -> UInt16 {
            let high = try integer8()
            return UInt16(high) << 8 | UInt16(try integer8())
        }

        mutating func slice(_ count: Int) throws(DecodingError) -> ArraySlice<UInt8> {
            guard count <= bytes.count - position else { throw .malformed }
            defer { position += count }
            return bytes[position..<(position + count)]
        }

        /// A name in lower case, with compression (RFC 1035 §4.1.4). A pointer may only lead backwards, which makes
        /// loops impossible, and a name has at most 255 bytes.
        mutating func name() throws(DecodingError) -> String {
            var labels: [String] = []
            var total = 1
            var cursor = position
            var lowest = position
            var hasJumped = false
            while true {
                guard cursor < bytes.count else { throw .malformed }
                let length = Int(bytes[cursor])
                switch length & 0xC0 {
                case 0x00:
                    cursor += 1
                    if !hasJumped { position = cursor + length }
                    if length == 0 { return labels.joined(separator: ".") }
                    total += length + 1
                    guard total <= 255, length <= bytes.count - cursor else { throw .malformed }
                    let label = bytes[cursor..<(cursor + length)]
                    guard let text = String(validating: label, as: UTF8.self), !text.utf8.contains(0x2E) else {
                        throw .malformed
                    }
                    labels.append(text.lowercased())
                    cursor += length
                case 0xC0:
                    guard cursor + 1 < bytes.count else { throw .malformed }
                    let target = (length & 0x3F) << 8 | Int(bytes[cursor + 1])
                    if !hasJumped { position = cursor + 2 }
                    hasJumped = true
                    guard target < lowest else { throw .malformed }
                    lowest = target
                    cursor = target
                default:
                    throw .malformed
                }
            }
        }
    }
}
