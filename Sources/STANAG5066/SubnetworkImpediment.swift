package import NIOCore

/// Why nothing moves between a peer and this side although there is a bind.
package enum SubnetworkImpediment: Equatable, Sendable, CustomStringConvertible {
    /// The node has said that it may not transmit.
    case subnet(SubnetStatus)
    /// The node has said S_DATA_FLOW_OFF so long ago.
    case flowOff(TimeAmount)
    /// The node could not reach the peer, and is asked again after so long.
    case notAnswering(TimeAmount)
    /// The node has U_PDUs for the peer and has said of none what became of it, for so long.
    case unanswered(TimeAmount)
    /// The node refuses what is for the peer for another reason, and is asked again after so long.
    case refused(UnidataRejectedReason, TimeAmount)
    /// All that the peer sends is of another RCOP application than the one agreed.
    case application(RCOPApplication, agreed: RCOPApplication)
    /// The node was asked to keep the link to the peer up, and does not; all else works.
    case notReserved(String)
    /// The node does not say clearly of which U_PDU it tells what became, so it is given one at a time; all else works.
    case oneAtATime

    /// S_DATA_FLOW_OFF is no wonder before.
    static let usualFlowOff = TimeAmount.minutes(5)
    /// At 75 bit/s a node may be silent for so long, and no longer.
    static let usualSilence = TimeAmount.minutes(30)

    /// A sentence for an operator.
    package var description: String {
        switch self {
        case .subnet(let status): "The node says that it is \(status); what is for the peer waits."
        case .flowOff(let duration):
            "The node has taken nothing for \(Self.text(duration)) (S_DATA_FLOW_OFF); see what its queue waits for."
        case .notAnswering(let wait): "The peer's node or client does not answer; it is called again in \(Self.text(wait))."
        case .unanswered(let duration):
            "The node has said nothing for \(Self.text(duration)) of what it has for the peer: see whether it transmits, and whether "
                + "it confirms with the first bytes of the U_PDU (STANAG 5066 §A.2.1.7)."
        case .refused(let reason, let wait):
            "The node refuses what is for the peer (\(reason)); it is asked again in \(Self.text(wait))."
        case .notReserved(let reason): "The node does not keep the link up (reserve-link): \(reason). It is asked every minute."
        case .oneAtATime:
            "The node repeats too little of what it confirms to tell one U_PDU from another, so it is given one at a time; that is slow."
        case .application(let other, let agreed):
            "The peer sends RCOP application \(other), and \(agreed) is agreed; set app-id to the same at both ends."
        }
    }

    private static func text(_ duration: TimeAmount) -> String {
        let seconds = max(duration.nanoseconds, 0) / 1_000_000_000
        return seconds < 120 ? "\(seconds) s" : "\(seconds / 60) min"
    }
}

extension SubnetworkStateMachine {
    /// What an operator should know of a peer that is up; nil where nothing is in the way.
    package func impediment(_ peer: Int, now: NIODeadline) -> SubnetworkImpediment? {
        let client = clientStatus
        guard case .bound = client.state else { return nil }
        if mayNotTransmit, let subnet = client.subnet { return .subnet(subnet) }
        if let since = client.flowOffSince, now - since >= SubnetworkImpediment.usualFlowOff { return .flowOff(now - since) }
        if let (until, reason) = hold(peer), until > now {
            switch reason {
            case .destinationNotResponding, .destinationSAPNotBound: return .notAnswering(until - now)
            default: return .refused(reason, until - now)
            }
        }
        if let silence = silence(peer, now: now), silence >= SubnetworkImpediment.usualSilence { return .unanswered(silence) }
        let counters = receiverCounters(peer)
        if counters.units == 0, let other = counters.lastForeignApplication {
            return .application(other, agreed: application(peer))
        }
        switch reservation(peer) {
        case .rejected(let reason): return .notReserved("\(reason)")
        case .terminated(let reason): return .notReserved("\(reason)")
        case .established, nil: return client.isOneAtATime ? .oneAtATime : nil
        }
    }
}
