import HFNode
import NIOCore

/// The air between two nodes, as long as nobody cuts it.
struct InterruptibleChannel: BurstChannel, Sendable {
    private var radio: RadioChannel
    private var wasHeard = [false, false]
    var isCut = false

    init(_ radio: RadioChannel) {
        self.radio = radio
    }

    mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate {
        // Fading goes on while nobody hears it.
        let fate = radio.fate(of: burst, from: side, at: start)
        wasHeard[side.rawValue] = fate.isHeard && !isCut
        return isCut ? .unheard : fate
    }

    func waveform(of timing: TransmissionTiming) -> Waveform? { radio.waveform(of: timing) }

    /// As in ``RadioChannel/lastEstimate(from:)``.
    func lastEstimate(from side: HFNodeSide) -> Double? {
        wasHeard[side.rawValue] ? radio.lastEstimate(from: side) : nil
    }
}
