package import NIOCore

/// Names one TCP connection to a node; never used twice.
package struct SISConnectionID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }
}

/// Names one U_PDU that was offered; its owner chooses it, and uses it once.
package struct SISUnitID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }
}

/// What ``SISClientStateMachine`` wants done, in this order.
package enum SISClientAction: Equatable, Sendable {
    /// Open a TCP connection to the node; answer with `dialSucceeded` or `dialFailed`.
    case dial
    /// Give up the connection that is being opened; no answer is expected.
    case abandonDial
    case write(SISConnectionID, SISPrimitive)
    /// End the connection when everything is written; answer with `connectionClosed`.
    case close(SISConnectionID)
    /// End the connection at once; nothing it says is of interest any more.
    case drop(SISConnectionID)
    /// The node has bound us; U_PDUs have at most `mtu` bytes.
    case bound(mtu: Int)
    /// The bind is over. What was inside the node has ended before.
    case unbound(SISTrouble)
    /// What a U_PDU came to; once for each that was offered.
    case ended(SISUnitID, SISUnitEnd)
    /// There may be room for U_PDUs to some destination where there was none: offer what waits.
    case creditAvailable
    case deliver(UnidataIndication)
    case subnetChanged(SubnetStatus, SubnetReason)
    case reservationChanged(SISReservationState)
    /// What the node says about itself, in its own way.
    case managementMessage(ManagementMessage)
    /// For status and log: an attempt came to nothing.
    case note(SISTrouble)
    /// Call `deadlineReached` then; replaces the deadline before.
    case arm(NIODeadline)
    case disarm
    /// Everything is over for good.
    case stopped
}

/// What became of a U_PDU.
package enum SISUnitEnd: Equatable, Sendable {
    /// The far node has it, or its client was given it, as was asked for.
    case confirmed(DeliveryConfirmation)
    /// No confirmation was asked for: the node has been given it, and nothing more will be known.
    case handedOver
    /// The node could not deliver it. It may have arrived all the same, when only its acknowledgement was lost.
    case rejected(UnidataRejectedReason)
    /// Nobody knows.
    case lost(SISUnitLoss)
    /// It never left.
    case notSent(SISRefusal)
}

/// Why nobody knows what became of a U_PDU.
package enum SISUnitLoss: Equatable, Sendable {
    /// The node has not answered in time.
    case noAnswer
    /// The node has ended the bind.
    case unbound
    /// The connection to the node is gone.
    case disconnected
    /// We have left.
    case stopped
}

/// Why a U_PDU was not taken.
package enum SISRefusal: Equatable, Sendable {
    /// There is no bind; perhaps not yet.
    case unbound
    /// The node has said S_DATA_FLOW_OFF.
    case flowOff
    /// The node may not transmit.
    case subnetOff
    /// As much as is allowed is inside the node.
    case noCredit
    /// Longer than the MTU.
    case largerThanMTU
    /// Only non-ARQ data may go to a group.
    case groupDestination
}

/// The link that the node was asked to keep up (STANAG 5066 Ed. 3 §A.2.1.18, link type 0).
package enum SISReservationState: Equatable, Sendable {
    case established
    /// It is asked for again later.
    case rejected(HardLinkRejectedReason)
    /// It is asked for again later.
    case terminated(HardLinkTerminatedReason)
}

/// Why there is no bind.
package enum SISTrouble: Equatable, Sendable {
    /// The node cannot be connected to.
    case dialFailed
    case dialTimeout
    case bindRejected(BindRejectedReason)
    case bindTimeout
    /// The node accepted a bind to another SAP.
    case wrongSAP(SAP)
    /// The node announced an MTU that is too small to be of use, in bytes.
    case smallMTU(Int)
    case unbound(UnbindReason)
    /// The connection has ended: perhaps the node restarts.
    case disconnected
    /// What the node sends is no stream of primitives.
    case broken(SISError)
    /// The node does not answer.
    case silent
    /// The node has said S_DATA_FLOW_OFF, and S_DATA_FLOW_ON does not come.
    case flowStopped
    /// We have left for as long as nobody takes what comes.
    case receivingStopped
    /// We have left.
    case stopped
}

extension SISTrouble: CustomStringConvertible {
    /// A sentence for an operator, with what to do.
    package var description: String {
        switch self {
        case .dialFailed: "the node cannot be connected to: check that it runs, its host and its port"
        case .dialTimeout: "the node does not accept the connection in time: check its host, its port and what is between"
        case .bindRejected(.invalidSAP): "the node does not have this SAP: configure one that it offers"
        case .bindRejected(.sapAlreadyAllocated): "another client, or an old connection of ours, holds this SAP at the node"
        case .bindRejected(let reason): "the node rejects the bind: \(reason)"
        case .bindTimeout: "the node does not answer the bind: check that its port is the one of its SIS"
        case .wrongSAP(let sap): "the node has bound SAP \(sap), which was not asked for"
        case .smallMTU(let bytes): "the node takes U_PDUs of only \(bytes) bytes: configure a larger MTU there"
        case .unbound(let reason): "the node has ended the bind: \(reason)"
        case .disconnected: "the connection to the node has ended"
        case .broken(let error): "the node does not speak SIS as Edition 3 has it: \(error)"
        case .silent: "the node does not answer"
        case .flowStopped: "the node has said “flow off” and takes nothing any more; it is bound anew"
        case .receivingStopped: "the local server takes nothing, and the node is left until it does"
        case .stopped: "stopped"
        }
    }
}
