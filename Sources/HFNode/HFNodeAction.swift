package import STANAG5066

/// What a node wants done.
package enum HFNodeAction: Equatable, Sendable {
    /// Key the transmitter; `burstEnded` when the carrier is off.
    case transmit(Burst)
    /// A unit for a local client.
    case deliver(UnidataIndication)
    /// The request is confirmed, as it wanted.
    case confirmed(UInt64)
    case rejected(UInt64, UnidataRejectedReason)
    /// Units of this SAP may be sent by the client, or may not.
    case flowChanged(sap: UInt8, isOpen: Bool)
    case noted(HFNodeNote)
}

/// What an observer wants to know.
package enum HFNodeNote: Equatable, Sendable {
    case linkMade(NodeAddress, asCaller: Bool)
    case linkBroken(NodeAddress, PhysicalLinkMachine.End)
    case callFailed(NodeAddress, PhysicalLinkMachine.End)
    /// How the frames of our last burst fared, as its acknowledgement says; the input of rate policies by frame errors.
    case burstAssessed(NodeAddress, frames: Int, acknowledged: Int)
    /// Our last burst with data was not answered.
    case burstUnanswered(NodeAddress)
    case orderwireReceived(NodeAddress, EngineeringOrderwire)
    /// The windows of both sides begin anew, since they did not agree.
    case windowsReset(NodeAddress)
}

/// Counts of a node since its start.
package struct HFNodeStatistics: Equatable, Sendable {
    package var bursts = 0
    package var bytes = 0
    package var dataFrames = 0
    /// Of the data frames, those that had been sent before.
    package var repeatedFrames = 0
    package var unitsDelivered = 0
    /// Units of clients that came while their flow was off, and found no room.
    package var unitsWithoutRoom = 0
    /// Units that arrived too late or for a SAP without client.
    package var unitsUndeliverable = 0
    package var framesDamaged = 0
    package var framesDuplicate = 0
    /// What came off the air and was no D_PDU.
    package var unreadable = 0

    package init() {}
}
