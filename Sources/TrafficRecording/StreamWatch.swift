package import NIOCore
package import XMPP

/// Reads along on one connection between a server and its peer, both ways, without taking part.
///
/// Knows when streams begin anew (RFC 6120 §4.3.3) and when there is nothing more to read because TLS or compression
/// begins. Whatever comes, it only stops reading: what passes is not its business.
package struct StreamWatch {
    /// Which way bytes pass.
    package enum Direction: Int, Sendable {
        /// From whoever opened the connection.
        case fromOpener
        case toOpener
    }

    package enum Finding: Equatable, Sendable {
        case stanza(Stanza)
        /// A stanza over the limit, in bytes, was passed over.
        case tooLarge(limit: Int)
        /// From here on nothing can be read in either direction.
        case ended(Reason)
        /// Nothing more can be read in this direction.
        case unreadable(Direction, StreamErrorCondition)
    }

    package enum Reason: Equatable, Sendable {
        /// STARTTLS (RFC 6120 §5), or TLS from the first byte (XEP-0368).
        case tls
        /// XEP-0138.
        case compression
        /// A client's stream, or one of something else: its content namespace is not that of servers or components.
        case notServers
    }

    private static let compression = "http://jabber.org/protocol/compress"
    /// The first byte of a TLS connection: a record of type handshake (RFC 8446 §5.1).
    private static let handshake: UInt8 = 0x16

    private var readers: [StreamReader]
    private var isReading = [true, true]
    private var isFirst = [true, true]
    private var findings: [Finding] = []

    package init(limits: XMLLimits = .local) {
        readers = [StreamReader(limits: limits, root: .received), StreamReader(limits: limits, root: .received)]
    }

    /// Bytes passed; what they held is appended to what ``takeFindings()`` gives.
    package mutating func bytesPassed(_ bytes: ByteBuffer, _ direction: Direction) {
        let way = direction.rawValue
        guard isReading[way], bytes.readableBytes > 0 else { return }
        if isFirst[way], bytes.readableBytesView.first == Self.handshake { return end(.tls) }
        isFirst[way] = false
        var bytes = bytes
        readers[way].read(&bytes)
        while isReading[way], let event = readers[way].nextEvent() {
            switch event {
            case .opened(let header):
                let isOfServers = [XMLNamespace.server, XMLNamespace.component].contains(header.contentNamespace)
                if !isOfServers { return end(.notServers) }
            case .stanza(let stanza) where stanza.kind == .other:
                if direction == .toOpener { negotiationPassed(stanza) }
            case .stanza(let stanza):
                findings.append(.stanza(stanza))
            case .oversize(_, let limit):
                findings.append(.tooLarge(limit: limit))
            case .closed:
                isReading[way] = false
            case .failed(let error):
                isReading[way] = false
                findings.append(.unreadable(direction, error.condition))
            }
        }
    }

    /// What was found since the last call.
    package mutating func takeFindings() -> [Finding] {
        defer { findings.removeAll(keepingCapacity: true) }
        return findings
    }

    private mutating func negotiationPassed(_ stanza: Stanza) {
        let root = stanza.root
        switch (root.name, root.namespace) {
        case ("proceed", XMLNamespace.tls): end(.tls)
        case ("compressed", Self.compression): end(.compression)
        case ("success", XMLNamespace.sasl):
            // Both sides send a new header, and neither did before this.
            for reader in readers { reader.reset() }
        default: break
        }
    }

    private mutating func end(_ reason: Reason) {
        isReading = [false, false]
        findings.append(.ended(reason))
    }
}
