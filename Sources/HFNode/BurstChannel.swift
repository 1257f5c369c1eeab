package import NIOCore

/// What becomes of a burst on its way to the other node.
package struct BurstFate: Equatable, Sendable {
    package enum ElementFate: Equatable, Sendable {
        case intact
        /// The header can be read, the segment not.
        case segmentDamaged
        case lost
    }

    /// The receiver's modem finds the preamble; if not, nothing of the burst is heard.
    package var isHeard: Bool
    /// One for each D_PDU of the burst; what is missing is lost.
    package var elements: [ElementFate]

    package init(isHeard: Bool, elements: [ElementFate]) {
        self.isHeard = isHeard
        self.elements = elements
    }

    /// All of it arrives.
    package static func intact(_ burst: Burst) -> BurstFate {
        BurstFate(isHeard: true, elements: Array(repeating: .intact, count: burst.elements.count))
    }

    package static let unheard = BurstFate(isHeard: false, elements: [])
}

/// The air between the two nodes of a pair.
package protocol BurstChannel {
    /// Asked once for each burst, when its transmitter is keyed, in the order of time.
    mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate
}

/// A channel without errors: two modems and a cable.
package struct ClearBurstChannel: BurstChannel, Sendable {
    package init() {}

    package mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate {
        .intact(burst)
    }
}

/// One of the two nodes of a pair.
package enum HFNodeSide: Int, Hashable, CaseIterable, Sendable {
    case first
    case second

    package var other: HFNodeSide { self == .first ? .second : .first }
}
