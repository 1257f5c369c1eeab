/// The number of a service access point of a node, 0 to 15 (STANAG 5066 Ed. 3 §A.1). One client is bound to one of them, over
/// one connection.
package struct SAP: Hashable, Sendable {
    package let number: UInt8

    /// - Parameter number: 0 to 15; nil is returned otherwise.
    package init?(_ number: Int) {
        guard (0...15).contains(number) else { return nil }
        self.number = UInt8(number)
    }

    /// - Parameter byte: the low four bits count.
    package init(low byte: UInt8) {
        number = byte & 0x0F
    }

    // MARK: Clients with a number of their own (STANAG 5066 Ed. 3 Annex F, table F-1)

    /// T-MMHS (STANAG 4406 Annex E); XEP-0365 0.2.1 puts XMPP here.
    package static let tmmhs = SAP(low: 2)
    /// The reliable connection-oriented protocol, and clients above it; XEP-0365 0.3 puts XMPP here.
    package static let rcop = SAP(low: 6)
    /// The unreliable datagram-oriented protocol, and clients above it.
    package static let udop = SAP(low: 7)
}

extension SAP: Comparable, CustomStringConvertible {
    package static func < (left: SAP, right: SAP) -> Bool { left.number < right.number }
    package var description: String { String(number) }
}
