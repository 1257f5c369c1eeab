import ConfigurationText
import HFNode
import LinkCatalogue
import NIOCore
import Testing

/// A faulty link file and what its author is told: each text must occur in one line, and there is one line for each.
struct FaultyLink: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    let expected: [[String]]

    init(_ name: String, _ text: String, _ expected: [String]...) {
        self.testDescription = name
        self.text = text
        self.expected = expected
    }
}

@Suite("Reading of link files")
struct LinkReadingTests {
    private static let modem = "[modem]\nfamily = \"110a\"\nrate = 1200\ninterleaver = \"short\"\n"
    private static let channel = "[channel]\nmode = \"clean\"\n"
    private static let whole = "name = \"x\"\n" + modem + channel

    /// A file with a channel of these lines; the first of them is line 8.
    private static func fading(_ lines: String, modem: String = modem) -> String {
        "name = \"x\"\n" + modem + "[channel]\nmode = \"fading\"\n" + lines
    }

    private static func read(_ text: String) throws(ConfigurationProblems) -> RadioLink {
        try RadioLink(reading: text, file: "x.toml", expectedName: "x")
    }

    static let faulty = [
        FaultyLink(
            "an empty file", "", ["x.toml:1: name: this key is missing"], ["modem: this key is missing"],
            ["channel: this key is missing"]),
        FaultyLink("no TOML", "name = \n", ["x.toml:1: TOML syntax, column"]),
        FaultyLink(
            "another name", whole.replacing("\"x\"", with: "\"y\""),
            ["x.toml:1: name = \"y\"", "not the name of this file"]),
        FaultyLink(
            "an unknown key", whole + "fadding = \"MD\"\n", ["x.toml:8: channel.fadding", "did you mean \"fading\""]),
        FaultyLink("an unknown section", whole + "[nodes]\n", ["x.toml:8: nodes", "did you mean \"node\""]),
        FaultyLink(
            "no such family", whole.replacing("110a", with: "110b"),
            ["x.toml:3: modem.family = \"110b\"", "did you mean \"110a\"", "\"110d-24k\""]),
        FaultyLink(
            "a rate that the family lacks", whole.replacing("1200", with: "1201"),
            ["x.toml:4: modem.rate = 1201: 110a does not have this rate", "75, 150, 300, 600, 1200, 2400"]),
        FaultyLink(
            "an interleaver that the rate lacks", whole.replacing("\"short\"", with: "\"medium\""),
            ["x.toml:5: modem.interleaver = \"medium\"", "at 1200 bit/s", "\"none\", \"short\", \"long\""]),
        FaultyLink(
            "no mode", "name = \"x\"\n[modem]\n" + channel, ["modem.family: this key is missing"],
            ["modem.rate: this key is missing"], ["modem.interleaver: this key is missing"]),
        FaultyLink(
            "times without unit, and too long",
            "name = \"x\"\n" + modem + "key-up = 200\ncrypto = \"31s\"\n" + channel,
            ["x.toml:6: modem.key-up = 200: this is an integer, without a unit"],
            ["x.toml:7: modem.crypto = \"31s\": out of range", "from 0ms to 30s"]),
        FaultyLink(
            "clean and faded", whole + "fading = \"MD\"\nsnr-db = 3\n", ["x.toml:8: channel.fading", "clean channel"],
            ["x.toml:9: channel.snr-db", "clean channel"]),
        FaultyLink("no signal", fading("fading = \"MD\"\n"), ["channel.snr-db: this key is missing", "a number of dB"]),
        FaultyLink(
            "a signal in words", fading("snr-db = \"13\"\n"), ["x.toml:8: channel.snr-db = \"13\": this is a string"]),
        FaultyLink(
            "a signal that is none", fading("snr-db = nan\n"),
            ["x.toml:8: channel.snr-db", "out of range", "from -100 to 100"]),
        FaultyLink("no schedule", fading("snr-db = { middle = 3 }\n"), ["x.toml:8: channel.snr-db", "not a schedule"]),
        FaultyLink(
            "half a sweep", fading("snr-db = { from = 3, too = 4 }\n"),
            ["snr-db.to: this key is missing"], ["snr-db.duration: this key is missing"],
            ["snr-db.too", "did you mean \"to\""]),
        FaultyLink(
            "points out of order",
            fading(
                "snr-db = { points = [{ at = \"2m\", snr-db = 1 }, { at = \"1m\", snr-db = 1 }], period = \"1m\" }\n"),
            ["x.toml:8: channel.snr-db.points[1].at", "not after the point before", "later than 2m"],
            ["channel.snr-db.period", "shorter than the schedule"]),
        FaultyLink("no points", fading("snr-db = { points = [] }\n"), ["x.toml:8: channel.snr-db.points", "no points"]),
        FaultyLink(
            "an unknown class", fading("snr-db = 3\nfading = \"Poor\"\n"),
            ["x.toml:9: channel.fading = \"Poor\": unknown value", "\"MD\""]),
        FaultyLink(
            "a class that the waveform cannot follow",
            fading("snr-db = 30\nfading = \"HM\"\n", modem: modem.replacing("1200", with: "2400")),
            ["x.toml:9: channel.fading = \"HM\"", "no modem follows 10 Hz at 2400 bit/s"]),
        FaultyLink(
            "a waveform without thresholds", fading("snr-db = 30\n", modem: modem.replacing("110a", with: "4529")),
            ["x.toml:7: channel.mode", "no thresholds are published for 4529 1200S", "\"clean\""]),
        FaultyLink(
            "half a variation, odd blackouts",
            fading(
                "snr-db = 3\nvariation = { deviation-db = 4 }\n"
                    + "blackouts = { duration = \"60m\", mean-interval = \"5m\" }\n"
            ),
            ["channel.variation.correlation: this key is missing"],
            ["x.toml:10: channel.blackouts.duration", "at most ten times"]),
        FaultyLink(
            "the way back", whole + "[reverse-channel]\nmode = \"perfect\"\n",
            ["x.toml:9: reverse-channel.mode = \"perfect\"", "\"clean\", \"table\", \"fading\""]),
        FaultyLink(
            "rates change without recognition",
            whole.replacing("110a", with: "4285") + "[rate-change]\npolicy = \"snr\"\n",
            ["x.toml:9: rate-change.policy = \"snr\"", "receivers of 4285 are set to one rate", "\"off\""]),
        FaultyLink(
            "rates beside the modem's", whole + "[rate-change]\npolicy = \"trinder\"\nlowest = 75\nhighest = 600\n",
            ["x.toml:11: rate-change.highest = 600", "the modem's rate is not among these", "1200"]),
        FaultyLink(
            "rates upside down", whole + "[rate-change]\nlowest = 600\nhighest = 75\n",
            ["x.toml:9: rate-change.lowest = 600: above highest", "at most 75"]),
        FaultyLink(
            "a node of another world",
            whole
                + "[node]\nwindow = 129\nsegment = 1024\naddress-bytes = 8\n"
                + "maximum-transmission = \"128s\"\nduplex = \"full\"\n",
            ["x.toml:9: node.window = 129: out of range", "1 to 128"], ["x.toml:10: node.segment = 1024", "1 to 1023"],
            ["x.toml:11: node.address-bytes = 8"], ["x.toml:12: node.maximum-transmission = \"128s\"", "127500ms"],
            ["x.toml:13: node.duplex = \"full\": not available in this version"]),
        FaultyLink(
            "a frame that fits in no transmission",
            whole.replacing("1200", with: "75") + "[node]\nsegment = 1023\nmaximum-transmission = \"60s\"\n",
            ["x.toml:9: node.segment = 1023: one frame lasts 114s at 75 bit/s", "1m"]),
        FaultyLink(
            "soft link", whole + "[soft-link]\nused = \"yes\"\ncall-attempts = 0\nidle = 30\n",
            ["x.toml:9: soft-link.used = \"yes\"", "true or false"], ["x.toml:10: soft-link.call-attempts = 0"],
            ["x.toml:11: soft-link.idle = 30"]),
        FaultyLink(
            "clients", whole + "[sis]\nflow-control = \"backpressure\"\nqueue = \"2KiB\"\nmtu = 4096\n",
            ["x.toml:9: sis.flow-control", "did you mean \"back-pressure\""],
            ["x.toml:10: sis.queue", "less than one unit", "4096"]),
        FaultyLink(
            "silences",
            whole
                + "[[emission-control]]\nnode = \"third\"\nfrom = \"5m\"\n"
                + "[[emission-control]]\nnode = \"first\"\nfrom = \"5m\"\nuntil = \"5m\"\n",
            ["x.toml:9: emission-control[0].node = \"third\""], ["emission-control[0].until: this key is missing"],
            ["x.toml:14: emission-control[1].until = \"5m\": not after from"])
    ]

    @Test(arguments: faulty)
    func `all problems are reported at once, each with its place`(link: FaultyLink) throws {
        let problems = try #require(throws: ConfigurationProblems.self) { try Self.read(link.text) }.problems
        let lines = problems.map(\.description)
        #expect(lines.count == link.expected.count, "\(lines)")
        for texts in link.expected {
            #expect(lines.count { line in texts.allSatisfy { line.contains($0) } } == 1, "\(texts) in \(lines)")
        }
    }

    @Test func `what is not said has its default`() throws {
        let link = try Self.read(Self.whole)
        #expect(link.seed == 1)
        #expect(
            link.modem
                == RadioLink.Modem(
                    waveform: try #require(Waveform(.serialTone, bitsPerSecond: 1_200, interleaver: .short))))
        #expect(link.rateChange == RadioLink.RateChange())
        #expect(link.node == RadioLink.Node())
        #expect(link.softLink == RadioLink.SoftLink())
        #expect(link.clients == RadioLink.Clients())
        #expect(link.ladder == RateLadder([link.modem.waveform]))
    }

    @Test func `every key arrives where it belongs`() throws {
        let link = try RadioLink(
            reading: """
                name = "mine"
                description = "a tester's own"
                seed = 77
                [modem]
                family = "110d-3k"
                rate = 9600
                interleaver = "ultra-short"
                line = "synchronous"
                key-up = "300ms"
                crypto = "1s"
                decode = "50ms"
                preamble = "480ms"
                implementation-margin-db = 1.5
                [rate-change]
                policy = "snr"
                margin-db = 4.5
                lowest = 75
                highest = 9600
                [channel]
                mode = "table"
                fading = "MM"
                snr-db = { points = [{ at = "0m", snr-db = 30 }, { at = "30m", snr-db = 12.5 }], period = "1h" }
                variation = { deviation-db = 3, correlation = "20s" }
                blackouts = { duration = "1m", mean-interval = "1h" }
                [reverse-channel]
                mode = "fading"
                fading = "none"
                snr-db = { mean = 15, amplitude = 10, period = "10m" }
                variation = "none"
                [node]
                duplex = "half"
                turnaround = "200ms"
                maximum-transmission = "60s"
                always-maximum = true
                window = 64
                segment = 411
                address-bytes = 4
                acknowledgement-copies = 2
                hold-off = "500ms"
                answer-margin = "2s"
                maximum-misses = 5
                maximum-back-off = "30s"
                link-loss = "keep"
                call-pause = "5m"
                [soft-link]
                used = false
                call-attempts = 2
                break-attempts = 3
                idle = "0s"
                minimum-hold = "10s"
                first-data = "15s"
                [sis]
                flow-control = "back-pressure"
                queue = 10000
                mtu = 1024
                time-to-die = true
                client-confirmation = "2m"
                [[emission-control]]
                node = "second"
                from = "10m"
                until = "20m"
                """, file: "mine.toml", expectedName: nil)
        #expect(link.name == "mine" && link.summary == "a tester's own" && link.seed == 77)
        #expect(link.modem.waveform.description == "110d-3k 9600US")
        #expect(link.modem.waveform.requiredSNR(.awgn) == 22.5)
        #expect(link.modem.line == .synchronous && link.modem.decode == .milliseconds(50))
        let timing = link.timing(of: link.modem.waveform)
        #expect(timing.keyUp == .milliseconds(1_300) && timing.preamble == .milliseconds(480))
        #expect(link.rateChange == RadioLink.RateChange(policy: .snr(margin: 4.5), rates: 75...9_600))
        #expect(link.ladder.waveforms.count == 12)
        #expect(
            link.ladder.waveforms.allSatisfy { $0.preamble == .milliseconds(480) && $0.implementationMargin == 1.5 })
        #expect(link.ladder.waveforms.contains(link.modem.waveform))
        let points = [
            SNRSchedule.Point(time: .zero, decibels: 30), SNRSchedule.Point(time: .minutes(30), decibels: 12.5)
        ]
        #expect(
            link.forward
                == ChannelConfiguration(
                    mode: .table, fading: .middleModerate, meanSNR: .points(points, period: .hours(1)),
                    variation: IntermediateTermVariation(deviation: 3, correlation: .seconds(20)),
                    blackouts: Blackouts(duration: .minutes(1), meanInterval: .hours(1))))
        #expect(
            link.reverse
                == ChannelConfiguration(
                    mode: .fading, meanSNR: .sinusoid(mean: 15, amplitude: 10, period: .minutes(10))))
        #expect(link.node.turnaround == .milliseconds(200) && link.node.maximumTransmission == .seconds(60))
        #expect(link.node.alwaysTransmitsMaximum && link.node.window == 64 && link.node.segmentBytes == 411)
        #expect(link.node.addressBytes == 4 && link.node.acknowledgementCopies == 2)
        #expect(link.node.holdOff == .milliseconds(500) && link.node.answerMargin == .seconds(2))
        #expect(link.node.maximumMisses == 5 && link.node.maximumBackOff == .seconds(30))
        #expect(link.node.loss == .keep && link.node.callPause == .minutes(5))
        #expect(!link.softLink.isUsed && link.softLink.callAttempts == 2 && link.softLink.breakAttempts == 3)
        #expect(link.softLink.idle == .zero && link.softLink.minimumHold == .seconds(10))
        #expect(link.softLink.firstData == .seconds(15))
        #expect(link.clients.flowControl == .backPressure && link.clients.queueBytes == 10_000)
        #expect(link.clients.maximumUnit == 1_024 && link.clients.sendsTimeToDie)
        #expect(link.clients.clientConfirmation == .minutes(2))
        #expect(link.silences.map(\.isSecondNode) == [true])
        #expect(link.silences.map(\.from) == [.minutes(10)] && link.silences.map(\.until) == [.minutes(20)])
    }

    @Test func `a wrong name and a wrong path are told`() throws {
        let files = ShippedLinkTests.files
        func told(_ name: String) throws -> String {
            try #require(throws: ConfigurationProblems.self) { try files.link(name) }.description
        }
        #expect(try told("hf-lab-1200").contains("did you mean \"hf-lab-1200S\""))
        #expect(try told("no such link").contains("there is no link \"no such link\""))
        #expect(try told("./missing.toml").contains("./missing.toml:1: No such file"))
        #expect(try told("/").contains("not a file"))
        #expect(try told("\0/").contains("not a path"))
        #expect(try told("../links").contains("No such file"))
    }
}
