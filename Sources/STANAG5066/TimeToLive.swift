package import NIOCore

/// How long a node keeps a U_PDU that it could not deliver: 20 bits, in units of two seconds (STANAG 5066 Ed. 3 §A.2.1.6,
/// figures ).
package struct TimeToLive: Hashable, Sendable {
    /// 0 to ``maximumUnits``; 0 means for ever, which the node bounds by a limit of its own.
    package let units: UInt32

    /// 15 days.
    package static let maximumUnits: UInt32 = 648_000
    package static let unlimited = TimeToLive(units: 0)

    /// - Parameter units: of two seconds; more than ``maximumUnits`` is taken for that.
    package init(units: UInt32) {
        self.units = min(units, Self.maximumUnits)
    }

    /// The least time on the wire that is not less than `duration`: 2 s at least, 15 days at most.
    package init(_ duration: TimeAmount) {
        let unit: Int64 = 2_000_000_000
        let (quotient, remainder) = max(duration.nanoseconds, 1).quotientAndRemainder(dividingBy: unit)
        self.init(units: UInt32(clamping: quotient + (remainder == 0 ? 0 : 1)))
    }

    /// Nil for ever.
    package var duration: TimeAmount? { units == 0 ? nil : .seconds(Int64(units) * 2) }
}
