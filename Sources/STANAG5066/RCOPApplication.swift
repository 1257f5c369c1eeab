/// The protocol of the data in an RCOP or UDOP PDU, "APP_ID" (STANAG 5066 Ed. 3 table F-5).
///
/// Up to 0x7FFF NATO assigns them; the others are free, and nothing keeps two users from choosing the same. None is
/// assigned to XMPP and XEP-0365 names none, so it is a matter of the agreement between two sites.
package struct RCOPApplication: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let basicFileTransfer = RCOPApplication(rawValue: 0x1002)
    package static let fileReceiptAcknowledgement = RCOPApplication(rawValue: 0x100B)
    package static let fileReceiptAcknowledgement2 = RCOPApplication(rawValue: 0x100C)
    /// TMI-1 of tactical military message handling; TMI-5 is 0x2004.
    package static let tacticalMessages1 = RCOPApplication(rawValue: 0x2000)

    /// What this product uses where the agreement says nothing else: one number for each dialect, so that two sites
    /// that disagree find out at the first unit.
    package static let xmpp = RCOPApplication(rawValue: 0x8361)
    package static let skywave = RCOPApplication(rawValue: 0x8362)

    package var isAssignedByNATO: Bool { rawValue < 0x8000 }
}

extension RCOPApplication: CustomStringConvertible {
    /// `0x8361`
    package var description: String {
        let digits = String(rawValue, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 4 - digits.count) + digits
    }
}
