package import HFNode
package import NIOCore
package import STANAG5066

/// Names one TCP connection of a client to one of two nodes; never used twice.
package struct NodeConnection: Hashable, Sendable {
    package let side: HFNodeSide
    package let number: UInt64

    package init(side: HFNodeSide, number: UInt64) {
        self.side = side
        self.number = number
    }
}

/// What ``RadioNodes`` want done, in this order.
package enum RadioNodesAction: Sendable {
    case write(NodeConnection, ByteBuffer)
    /// End the connection when everything is written.
    case close(NodeConnection)
    /// Stop reading from the connection, or go on: TCP then holds up the client.
    case readingChanged(NodeConnection, isOn: Bool)
    /// Only for who watches.
    case observed(RadioNodesEvent, at: NIODeadline)
}

/// What happens at the nodes and between them.
package enum RadioNodesEvent: Sendable {
    /// A burst is on the air from now on.
    case transmitted(HFNodeSide, Burst)
    /// A D_PDU has reached this node.
    case received(HFNodeSide, Burst.Element, isSegmentIntact: Bool)
    case noted(HFNodeSide, HFNodeNote)
    /// The next bursts of the node go at this rate.
    case rateChanged(HFNodeSide, Waveform)
    case bound(NodeConnection, SAP)
    case bindRejected(NodeConnection, SAP, BindRejectedReason)
    case unbound(NodeConnection, SAP)
    case flowChanged(HFNodeSide, SAP, isOpen: Bool)
    /// Emission control began at the node, or is over.
    case silenceChanged(HFNodeSide, isSilent: Bool)
    case linkCutChanged(isCut: Bool)
    case stopped(HFNodeSide)
    case started(HFNodeSide)
}

/// Counts since the start.
package struct RadioNodesStatistics: Equatable, Sendable {
    package struct Side: Equatable, Sendable {
        package internal(set) var bursts = 0
        /// Of its transmissions.
        package internal(set) var onAir = TimeAmount.zero
        package internal(set) var unitsTaken = 0
        /// What its clients were given.
        package internal(set) var unitsDelivered = 0
        package internal(set) var bytesDelivered = 0
        package internal(set) var unitsConfirmed = 0
        package internal(set) var unitsRejected = 0
        /// U_PDUs that came while the client was told to stop, or with a link that the node does not know.
        package internal(set) var unitsDropped = 0
    }

    package internal(set) var first = Side()
    package internal(set) var second = Side()
    /// How often the other side took the air.
    package internal(set) var turns = 0
    /// The start of the first transmission and the end of the last.
    package private(set) var began: NIODeadline?
    package private(set) var ended: NIODeadline?
    /// The time in which at least one node transmitted: those who key at once fill the same air.
    private var occupied = TimeAmount.zero

    package subscript(_ side: HFNodeSide) -> Side {
        get { side == .first ? first : second }
        set { if side == .first { first = newValue } else { second = newValue } }
    }

    /// A node begins to transmit. Transmissions come in the order of their starts.
    package mutating func transmitted(_ side: HFNodeSide, at time: NIODeadline, for duration: TimeAmount) {
        self[side].bursts += 1
        self[side].onAir = self[side].onAir + duration
        let end = time + duration
        let start = max(time, ended ?? time)
        if end > start { occupied = occupied + (end - start) }
        began = began ?? time
        ended = max(ended ?? end, end)
    }

    /// From the first transmission to the end of the last.
    package var duration: TimeAmount {
        guard let began, let ended else { return .zero }
        return ended - began
    }

    /// The bits of U_PDUs that arrived, by what a modem at this rate could have carried from the first transmission to
    /// the end of the last; 0 to 1.
    package func utilisation(bitsPerSecond: Int) -> Double {
        let seconds = Double(duration.nanoseconds) / 1_000_000_000
        guard seconds > 0 else { return 0 }
        return 8 * Double(first.bytesDelivered + second.bytesDelivered) / (seconds * Double(bitsPerSecond))
    }

    /// The share of this time in which one of the nodes transmitted, or both; 0 to 1.
    package var onAirShare: Double {
        guard duration > .zero else { return 0 }
        return Double(occupied.nanoseconds) / Double(duration.nanoseconds)
    }
}
