/// What an ``RCOPReceiver`` has seen since it was made.
package struct RCOPReceiverCounters: Equatable, Sendable {
    package internal(set) var uPDUs: UInt64 = 0
    package internal(set) var units: UInt64 = 0
    package internal(set) var unitBytes: UInt64 = 0
    /// The application of the U_PDU that was last dropped for it: what an operator needs for the agreement.
    package internal(set) var lastForeignApplication: RCOPApplication?
    private var drops = [UInt64](repeating: 0, count: RCOPDropReason.allCases.count)

    /// U_PDUs or units dropped, by reason.
    package internal(set) subscript(_ reason: RCOPDropReason) -> UInt64 {
        get { drops[reason.rawValue] }
        set { drops[reason.rawValue] = newValue }
    }

    /// The reasons for which something was dropped, with how much.
    package var dropped: [(reason: RCOPDropReason, count: UInt64)] {
        RCOPDropReason.allCases.compactMap { self[$0] == 0 ? nil : ($0, self[$0]) }
    }
}
