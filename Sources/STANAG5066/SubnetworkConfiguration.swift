package import NIOCore

/// How units of one class cross the subnetwork.
package struct UnitService: Equatable, Sendable {
    /// RCOP connection, 0 to 15. Classes of different priority need different ones: the node may let one overtake the other.
    package var connection: UInt8
    /// In the node, 0 to 15, larger is more urgent.
    package var priority: UInt8
    /// `.node` or `.client`; without one nobody would learn what became of a unit.
    package var confirmation: DeliveryConfirmation
    /// How long the node tries. All U_PDUs of a unit have the same.
    package var timeToLive: TimeToLive

    package init(connection: UInt8, priority: UInt8, confirmation: DeliveryConfirmation, timeToLive: TimeToLive) {
        self.connection = connection
        self.priority = priority
        self.confirmation = confirmation
        self.timeToLive = timeToLive
    }
}

/// One peer behind a node: where it is and how units go there.
package struct SubnetworkPeerConfiguration: Equatable, Sendable {
    package var name: String
    package var node: NodeAddress
    /// The SAP that the peer is bound to at its node.
    package var sap: SAP
    package var application: RCOPApplication
    package var framing: RCOPFraming
    package var repetition: RCOPSenderConfiguration.Repetition
    /// By class; the owner says with each unit which of them it is.
    package var services: [UnitService]
    /// The node is asked to keep the link to this peer up at all times (a hard link of type 0). Of one peer at most: a node has one
    /// such link.
    package var reservesLink = false
    /// How many bytes of this peer may be inside the node, the last U_PDU not counted; 1 or more. Nil: as many as of any
    /// destination (``SISClientConfiguration/bytesPerDestination``), which is the most in any case.
    package var bytesInNode: Int?

    /// U_PDUs of one peer that may be inside the node.
    package static let unitsInNode = 256

    package init(
        name: String, node: NodeAddress, sap: SAP, application: RCOPApplication, framing: RCOPFraming,
        repetition: RCOPSenderConfiguration.Repetition, services: [UnitService]
    ) {
        self.name = name
        self.node = node
        self.sap = sap
        self.application = application
        self.framing = framing
        self.repetition = repetition
        self.services = services
    }

    /// Priority from which on a unit is urgent: it need not wait for what is less so to be handed to the node. Nil where no class
    /// is more urgent than the first.
    var urgentPriority: UInt8? {
        guard let normal = services.first?.priority, let most = services.map(\.priority).max(), most > normal else { return nil }
        return most
    }

    var sender: RCOPSenderConfiguration {
        var connections: [RCOPSenderConfiguration.Connection] = []
        for service in services where !connections.contains(where: { $0.number == service.connection }) {
            connections.append(.init(number: service.connection, priority: service.priority))
        }
        return RCOPSenderConfiguration(
            connections: connections, application: application, framing: framing, repetition: repetition)
    }
}

/// Why a peer cannot be sent to.
package enum SubnetworkDown: Equatable, Sendable, CustomStringConvertible {
    /// There is no bind.
    case node(SISTrouble)
    /// The owner ended it, because of what the peer does or because a unit was given up.
    case ended

    package var description: String {
        switch self {
        case .node(let trouble): trouble.description
        case .ended: "the link was ended and begins again"
        }
    }
}

/// What ``SubnetworkStateMachine`` wants done, in this order.
package enum SubnetworkAction: Equatable, Sendable {
    // MARK: The connection to the node
    case dial
    case abandonDial
    case write(SISConnectionID, SISPrimitive)
    case close(SISConnectionID)
    case drop(SISConnectionID)
    case arm(NIODeadline)
    case disarm
    case stopped
    /// For status and log.
    case note(SISTrouble)
    /// A U_PDU came from a node and SAP that no peer has.
    case stranger(NodeAddress, SAP)

    // MARK: Peers, by their number
    /// The node keeps the link to this peer up, as it was asked, or does not.
    case reservationChanged(Int, SISReservationState)
    /// Units can be sent.
    case up(Int, mtu: Int)
    /// Units cannot be sent; those that are not finished ended with ``failed(_:token:_:)`` before.
    case down(Int, SubnetworkDown)
    /// One unit can be taken. `isIdle`: nothing of this peer is inside the node, so that it leaves at once; otherwise it waits for
    /// the node's next turn whatever is done.
    case ready(Int, isIdle: Bool)
    /// One unit of the most urgent class can be taken, though what was taken before has not all been handed to the node; it goes
    /// there first. A later ``ready(_:isIdle:)`` takes its place.
    case readyForUrgent(Int)
    /// Nothing of this peer is inside the node any more.
    case idle(Int)
    /// The far node, or the far client, has all of the unit.
    case finished(Int, token: UInt64)
    /// The unit may have arrived in part or in whole, or not.
    case failed(Int, token: UInt64, RCOPUnitFailure)
    /// A unit of the peer. `followsGap`: something before it is missing.
    case unit(Int, ByteBuffer, connection: UInt8, followsGap: Bool)
}
