import HFNode
import LinkCatalogue
import NIOCore
import Testing

/// The files of `sim/links`.
@Suite("Links that are shipped")
struct ShippedLinkTests {
    static let files: LinkFiles = {
        var parts = #filePath.split(separator: "/")
        parts.removeLast(3)
        return LinkFiles(own: ["/" + parts.joined(separator: "/") + "/sim/links"])
    }()

    static let names = [
        "hf-diurnal-adaptive", "hf-groundwave-naval", "hf-highlat-75L", "hf-lab-1200S", "hf-lab-75S", "hf-lab-9600VL",
        "hf-legacy-slow", "hf-nvis-300S", "hf-skywave-good-2400L", "hf-skywave-poor-1200L", "wbhf-24k-groundwave",
        "wbhf-48k-skywave"
    ]

    private func link(_ name: String) throws -> RadioLink { try Self.files.link(name) }

    @Test func `all of the catalogue are there`() {
        #expect(Set(Self.names).isSubset(of: Self.files.names))
    }

    @Test(arguments: names)
    func `each can be read, and says what it is`(name: String) throws {
        let link = try link(name)
        #expect(link.name == name)
        #expect(!link.summary.isEmpty)
        #expect(link.ladder.waveforms.contains(link.modem.waveform))
        let frame = link.node.segmentBytes + 15 + link.node.addressBytes
        #expect(link.timing(of: link.modem.waveform).dataDuration(bytes: frame) <= link.node.maximumTransmission)
    }

    @Test(arguments: names.filter { $0.hasPrefix("hf-lab") })
    func `a queue of a lab link holds two windows of frames`(name: String) throws {
        let link = try link(name)
        #expect(link.clients.queueBytes >= 2 * link.node.window * link.node.segmentBytes)
    }

    @Test func `the modes are those of the catalogue`() throws {
        let modes = try Self.names.map { try link($0).modem.waveform.description }
        #expect(
            modes == [
                "4539 300L", "4539 6400M", "110a 75L", "110a 1200S", "110a 75S", "4539 9600VL", "110a 600L",
                "110a 300S", "110a 2400L", "110a 1200L", "110d-24k 76800M", "110d-48k 48000L"
            ])
    }

    @Test func `what makes each of them special`() throws {
        let lab = try link("hf-lab-1200S")
        #expect(lab.forward == .clean && lab.reverse == .clean)
        #expect(lab.node == RadioLink.Node())
        #expect(lab.softLink == RadioLink.SoftLink())
        #expect(lab.clients == RadioLink.Clients())
        #expect(lab.timing(of: lab.modem.waveform) == lab.modem.waveform.timing())
        #expect(lab.silences.isEmpty)

        let poor = try link("hf-skywave-poor-1200L")
        #expect(
            poor.forward
                == ChannelConfiguration(
                    mode: .fading, fading: .middleDisturbed, meanSNR: .constant(13),
                    variation: IntermediateTermVariation(deviation: 4, correlation: .seconds(10))))
        #expect(poor.rateChange.policy == .trinder)
        #expect(poor.ladder.waveforms.map(\.bitsPerSecond) == [75, 150, 300, 600, 1_200, 2_400])

        #expect(try link("hf-groundwave-naval").forward == ChannelConfiguration(mode: .fading, meanSNR: .constant(20)))
        #expect(try link("hf-skywave-good-2400L").forward.fading == .middleQuiet)
        #expect(try link("hf-nvis-300S").forward.fading == .middleDisturbedNVIS)
        #expect(
            try link("hf-highlat-75L").forward.blackouts
                == Blackouts(duration: .minutes(10), meanInterval: .hours(2)))

        let legacy = try link("hf-legacy-slow")
        #expect(legacy.modem.line == .synchronous)
        #expect(legacy.node.turnaround == .seconds(10))
        #expect(legacy.node.alwaysTransmitsMaximum)

        let adaptive = try link("hf-diurnal-adaptive")
        #expect(adaptive.rateChange.policy == .snr(margin: 3))
        #expect(adaptive.forward.meanSNR == .sweep(from: -5, to: 30, duration: .minutes(60)))
        #expect(adaptive.ladder.waveforms.count == 11)

        let wide = try link("wbhf-24k-groundwave")
        #expect(wide.modem.waveform.waveformNumber == 10)
        #expect(wide.node.turnaround == .milliseconds(500))
        #expect(wide.node.segmentBytes == 1_023)
        #expect(try link("wbhf-48k-skywave").modem.waveform.waveformNumber == 6)
    }
}
