package import HFNode
package import NIOCore
package import STANAG5066

/// What the simulation of a link is made of.
extension RadioLink {
    /// One of the two nodes.
    ///
    /// - Parameter seed: instead of the file's; both nodes and the channel take the same.
    package func nodeConfiguration(
        _ side: HFNodeSide, address: NodeAddress, seed: UInt64? = nil
    ) -> HFNodeConfiguration {
        var configuration = HFNodeConfiguration(address: address)
        // Nodes with the same chance would collide again and again.
        configuration.seed = (seed ?? self.seed) &* 2 &+ UInt64(side.rawValue)
        configuration.segmentBytes = node.segmentBytes
        configuration.addressBytes = node.addressBytes
        configuration.window = node.window
        configuration.maximumTransmission = node.maximumTransmission
        configuration.alwaysTransmitsMaximum = node.alwaysTransmitsMaximum
        configuration.acknowledgementCopies = node.acknowledgementCopies
        configuration.holdOff = node.holdOff
        configuration.turnaround = node.turnaround
        configuration.answerMargin = node.answerMargin
        configuration.maximumMisses = node.maximumMisses
        configuration.maximumBackOff = node.maximumBackOff
        configuration.lossPolicy =
            switch node.loss {
            case .reject: .reject
            case .keep: .keep
            }
        configuration.callPause = node.callPause
        configuration.link.isUsed = softLink.isUsed
        configuration.link.callAttempts = softLink.callAttempts
        configuration.link.breakAttempts = softLink.breakAttempts
        configuration.link.idle = softLink.idle
        configuration.link.minimumHold = softLink.minimumHold
        configuration.link.firstData = softLink.firstData
        configuration.maximumUnit = clients.maximumUnit
        configuration.queueBytes = clients.queueBytes
        configuration.sendsTimeToDie = clients.sendsTimeToDie
        configuration.clientConfirmationTime = clients.clientConfirmation
        return configuration
    }

    /// The timing of the modem at the start.
    package var timing: TransmissionTiming { timing(of: modem.waveform) }

    /// Every mode that the modems may be set to, by its timing.
    package var modes: [TransmissionTiming: Waveform] {
        Dictionary((ladder.waveforms + [modem.waveform]).map { (timing(of: $0), $0) }) { first, _ in first }
    }

    /// The air between the nodes.
    ///
    /// - Parameters:
    ///   - seed: instead of the file's.
    ///   - origin: when schedules begin.
    package func radioChannel(seed: UInt64? = nil, origin: NIODeadline) -> RadioChannel {
        RadioChannel(forward: forward, reverse: reverse, seed: seed ?? self.seed, origin: origin, modes: modes)
    }

    /// The rate of one node.
    package func rateControl(_ side: HFNodeSide) -> RateControl {
        RateControl(
            policy: rateChange.policy, ladder: ladder,
            channelClass: (side == .first ? forward : reverse).channelClass, start: modem.waveform)
    }

    /// Whether a node is under emission control at a time since the start.
    package func isSilent(_ side: HFNodeSide, at time: TimeAmount) -> Bool {
        silences.contains { $0.isSecondNode == (side == .second) && $0.from <= time && time < $0.until }
    }
}
