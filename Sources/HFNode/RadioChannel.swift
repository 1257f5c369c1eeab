package import NIOCore

/// The air between two nodes: a ``ChannelModel`` for each direction.
package struct RadioChannel: BurstChannel, Sendable {
    private var forward: ChannelModel
    private var reverse: ChannelModel
    private let modes: [TransmissionTiming: Waveform]
    private var estimates: [Double?] = [nil, nil]

    /// - Parameters:
    ///   - forward: from the first node to the second.
    ///   - seed: of the link.
    ///   - origin: when the channel began; schedules count from here.
    ///   - modes: what the nodes' modems may be set to, by the timing that a burst has then.
    package init(
        forward: ChannelConfiguration, reverse: ChannelConfiguration, seed: UInt64, origin: NIODeadline,
        modes: [TransmissionTiming: Waveform]
    ) {
        self.forward = ChannelModel(forward, seed: seed, direction: .forward, origin: origin)
        self.reverse = ChannelModel(reverse, seed: seed, direction: .reverse, origin: origin)
        self.modes = modes
    }

    package mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate {
        guard let waveform = modes[burst.timing] else {
            preconditionFailure(
                "a burst of \(burst.timing.bitsPerSecond) bit/s in a mode that the channel was not told of")
        }
        let dpdus = burst.elements.map { element in
            DPDUExtent(
                offset: element.offset, headerBytes: element.headerBytes,
                segmentBytes: element.bytes.readableBytes - element.headerBytes)
        }
        let firstBlockAt = start + burst.timing.untilData
        let reception =
            switch side {
            case .first: forward.fate(of: dpdus, sentWith: waveform, firstBlockAt: firstBlockAt)
            case .second: reverse.fate(of: dpdus, sentWith: waveform, firstBlockAt: firstBlockAt)
            }
        estimates[side.rawValue] = reception.estimatedSNR
        return BurstFate(
            isHeard: reception.isHeard,
            elements: reception.dpdus.map { fate in
                switch fate {
                case .intact: .intact
                case .headerOnly: .segmentDamaged
                case .lost: .lost
                }
            })
    }

    /// The mode that a burst of this timing is sent in.
    package func waveform(of timing: TransmissionTiming) -> Waveform? { modes[timing] }

    /// What the other side's modem measured of the last burst from this side, in dB; nil if it heard nothing of it.
    package func lastEstimate(from side: HFNodeSide) -> Double? { estimates[side.rawValue] }
}
