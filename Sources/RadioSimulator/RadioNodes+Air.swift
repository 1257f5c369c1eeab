import HFNode
import LinkCatalogue
import NIOCore
import STANAG5066

/// What happens at the nodes and on the air.
extension RadioNodes {
    /// Takes all that the pair has to say.
    mutating func drainPair() {
        while let event = pair.nextEvent() {
            switch event {
            case .transmitted(let side, let burst, let at): transmitted(side, burst, at: at)
            case .received(let side, let element, let isIntact, let at):
                if let mode = unheardModes[side.other.rawValue] {
                    unheardModes[side.other.rawValue] = nil
                    changeRate(side) { $0.burstHeard(mode) }
                }
                observe(.received(side, element, isSegmentIntact: isIntact), at: at)
            case .node(let side, let action, let at): performed(action, side, at: at)
            }
        }
    }

    private mutating func transmitted(_ side: HFNodeSide, _ burst: Burst, at time: NIODeadline) {
        unheardModes[side.rawValue] = pair.channel.waveform(of: burst.timing)
        statistics.transmitted(side, at: time, for: burst.duration)
        if lastTransmitter != side { statistics.turns += 1 }
        lastTransmitter = side
        observe(.transmitted(side, burst), at: time)
    }

    private mutating func performed(_ action: HFNodeAction, _ side: HFNodeSide, at time: NIODeadline) {
        // What a stopped node hears it does not know.
        guard isRunning[side.rawValue] else { return }
        switch action {
        case .transmit: break
        case .deliver(let indication): delivered(side, indication)
        case .confirmed(let id): settled(side, id, nil)
        case .rejected(let id, let reason): settled(side, id, reason)
        case .flowChanged(let sap, let isOpen): flowChanged(side, SAP(low: sap), isOpen: isOpen)
        case .noted(let note):
            observe(.noted(side, note), at: time)
            noted(note, side)
        }
    }

    // MARK: Rates

    private mutating func noted(_ note: HFNodeNote, _ side: HFNodeSide) {
        let estimate = pair.channel.lastEstimate(from: side)
        changeRate(side) { control in
            switch note {
            case .burstAssessed(_, let frames, let acknowledged):
                control.burstAssessed(
                    .init(framesSent: frames, framesLost: frames - acknowledged, estimatedSNR: estimate))
            case .burstUnanswered: control.burstAssessed(.init(framesSent: 1, framesLost: 1, estimatedSNR: nil))
            case .linkBroken: control.linkEnded()
            case .callFailed: control.callFailed()
            case .linkMade, .orderwireReceived, .windowsReset: break
            }
        }
    }

    private mutating func changeRate(_ side: HFNodeSide, _ change: (inout RateControl) -> Void) {
        let before = controls[side.rawValue].current
        change(&controls[side.rawValue])
        let mode = controls[side.rawValue].current
        guard mode != before else { return }
        observe(.rateChanged(side, mode))
        let timing = link.timing(of: mode)
        pair.withNode(side, now: now) { $0.timingChanged(timing) }
    }
}
