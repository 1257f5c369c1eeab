import HFNode
import LinkCatalogue
import NIOCore
import STANAG5066

/// A radio link of a run, and how bridges and nodes use it.
struct RadioTerms {
    var link: RadioLink
    /// Of the channel and of back-offs.
    var seed: UInt64
    /// How long a node tries.
    var timeToLive: TimeAmount
    var deadAfter: TimeAmount
    /// Bytes that may be inside a node.
    var bytesInNode: Int
    /// Bytes of blocks that wait while a bridge does not read; beyond it they are dropped, though the node has confirmed them.
    var heldBytes: Int

    init(_ random: inout SimulationRandom) {
        link = Self.link(&random)
        link.clients.flowControl = random.pick([.primitives, .backPressure])
        link.clients.queueBytes = random.pick([16 << 10, 64 << 10, 256 << 10])
        link.clients.maximumUnit = random.pick([512, 2_048, 2_048])
        link.clients.sendsTimeToDie = random.chance(perMille: 300)
        link.node.loss = random.chance(perMille: 700) ? .reject : .keep
        seed = random.next()
        timeToLive = .minutes(Int64(random.pick([2, 10, 60])))
        deadAfter = .minutes(Int64(random.pick([10, 20, 60])))
        bytesInNode = random.pick([8 << 10, 64 << 10, 256 << 10])
        heldBytes = random.pick([4 << 10, 32 << 20, 32 << 20])
    }

    /// Mostly fast ones, or a run would last for days.
    private static func link(_ random: inout SimulationRandom) -> RadioLink {
        switch random.below(10) {
        case 0...3: lab9600
        case 4...6: wideband
        case 7...8: skyWave
        default: lab1200
        }
    }

    /// As `hf-lab-9600VL`.
    private static var lab9600: RadioLink {
        var link = link("9600VL", .stanag4539, 9_600, .veryLong)
        link.node.segmentBytes = 684
        return link
    }

    /// As `hf-lab-1200S`.
    private static var lab1200: RadioLink { link("1200S", .serialTone, 1_200, .short) }

    /// As `wbhf-24k-groundwave`, and nothing lost.
    private static var wideband: RadioLink {
        var link = link("76800M", .wideband(.twentyFour), 76_800, .medium)
        link.node.segmentBytes = 1_023
        link.node.turnaround = .milliseconds(500)
        return link
    }

    /// A fading signal that often is below what the rate needs, and a rate that follows.
    private static var skyWave: RadioLink {
        var link = link("6400S", .stanag4539, 6_400, .short)
        link.rateChange = .init(policy: .trinder, rates: 2_400...9_600)
        link.forward = ChannelConfiguration(
            mode: .table, fading: .middleQuiet, meanSNR: .constant(32),
            variation: IntermediateTermVariation())
        link.reverse = link.forward
        return link
    }

    private static func link(
        _ name: String, _ family: WaveformFamily, _ bitsPerSecond: Int, _ interleaver: Interleaver
    ) -> RadioLink {
        guard let waveform = Waveform(family, bitsPerSecond: bitsPerSecond, interleaver: interleaver) else {
            preconditionFailure("the family has this mode")
        }
        return RadioLink(name: name, waveform: waveform)
    }
}
