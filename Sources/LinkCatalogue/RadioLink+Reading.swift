package import ConfigurationText
import HFNode
import NIOCore

extension RadioLink {
    /// Reads a link file.
    ///
    /// - Parameters:
    ///   - file: as it shall stand in messages.
    ///   - expectedName: the name by which the file was found; nil for a file that was named by its path.
    /// - Throws: every problem of the file.
    package init(reading text: String, file: String, expectedName: String?) throws(ConfigurationProblems) {
        let reader = ConfigurationReader(file: file, text: text)
        var link: RadioLink?
        do {
            if case .table(let entries) = try TOMLNode.parse(text) {
                link = LinkReading(reader: reader).link(TableReader(reader, .root, entries), expectedName)
            }
        } catch {
            reader.report(line: error.line, "TOML syntax, column \(error.column): \(error.message)")
        }
        guard reader.problems.isEmpty, let link else { throw ConfigurationProblems(reader.problems) }
        self = link
    }
}

/// Reads the parts of a link file; problems go to the reader. What is missing or wrong has its default meanwhile, so
/// that all of the file is seen in one run.
struct LinkReading {
    let reader: ConfigurationReader

    /// Nil without a mode of the modem.
    func link(_ root: TableReader, _ expectedName: String?) -> RadioLink? {
        defer { root.finish() }
        let name = name(root, expectedName)
        let summary = root.string("description", allowed: "one line") ?? ""
        let seed = root.integer("seed", in: 0...Int.max) ?? 1
        let modem = root.table("modem").flatMap { self.modem($0) }
        if !root.has("modem") { root.reportMissing("modem", allowed: "a table with family, rate and interleaver") }
        var link = modem.map { RadioLink(name: name, waveform: $0.waveform) }
        let rateChange = root.table("rate-change").map { self.rateChange($0, modem) } ?? RadioLink.RateChange()
        let forward = root.table("channel").map { channel($0, modem) }
        if !root.has("channel") { root.reportMissing("channel", allowed: "a table, as { mode = \"clean\" }") }
        let reverse = root.table("reverse-channel").map { channel($0, modem) }
        let node = root.table("node").map { self.node($0, modem) } ?? RadioLink.Node()
        let softLink = root.table("soft-link").map { self.softLink($0) } ?? RadioLink.SoftLink()
        let clients = root.table("sis").map { self.clients($0) } ?? RadioLink.Clients()
        let silences = root.tables("emission-control").compactMap { silence($0) }
        link?.summary = summary
        link?.seed = UInt64(seed)
        if let modem { link?.modem = modem }
        link?.rateChange = rateChange
        link?.forward = forward ?? .clean
        link?.reverse = reverse ?? forward ?? .clean
        link?.node = node
        link?.softLink = softLink
        link?.clients = clients
        link?.silences = silences
        return link
    }

    private func name(_ root: TableReader, _ expected: String?) -> String {
        let allowed = expected.map { "the name by which the link is found, \"\($0)\"" } ?? "a name for the link"
        guard let name = root.string("name", allowed: allowed) else {
            if !root.has("name") { root.reportMissing("name", allowed: allowed) }
            return expected ?? ""
        }
        if let expected, name != expected { root.report("name", "not the name of this file", allowed: allowed) }
        if name.isEmpty { root.report("name", "empty", allowed: allowed) }
        return name
    }

    // MARK: Modem

    private func modem(_ table: TableReader) -> RadioLink.Modem? {
        defer { table.finish() }
        let waveform = waveform(table)
        let keyUp = table.duration("key-up", in: .zero ... .seconds(30))
        let crypto = table.duration("crypto", in: .zero ... .seconds(30))
        let decode = table.duration("decode", in: .zero ... .seconds(30))
        let line = table.choice(
            "line", [("packet", .packet), ("synchronous", .synchronous)] as [(String, TransmissionTiming.ModemLine)])
        let preamble = table.duration("preamble", in: .zero ... .seconds(30))
        let margin = table.number("implementation-margin-db", in: -20...20)
        guard var waveform else { return nil }
        if let preamble { waveform.preamble = preamble }
        if let margin { waveform.implementationMargin = margin }
        var modem = RadioLink.Modem(waveform: waveform)
        modem.preamble = preamble
        modem.line = line ?? modem.line
        modem.keyUp = (keyUp ?? modem.keyUp) + (crypto ?? .zero)
        modem.decode = decode ?? modem.decode
        return modem
    }

    private func waveform(_ table: TableReader) -> Waveform? {
        let family = table.choice("family", WaveformFamily.all.map { ($0.name, $0) })
        let rate = table.integer("rate", in: 1...1_000_000)
        let interleaver = table.choice("interleaver", Interleaver.allCases.map { ($0.rawValue, $0) })
        for key in ["family", "rate", "interleaver"] where !table.has(key) {
            table.reportMissing(key, allowed: "family, rate and interleaver name the mode of the modem")
        }
        guard let family, let rate else { return nil }
        guard family.rates.contains(rate) else {
            let rates = family.rates.map(String.init).joined(separator: ", ")
            table.report("rate", "\(family.name) does not have this rate", allowed: "in bit/s: \(rates)")
            return nil
        }
        guard let interleaver else { return nil }
        guard let waveform = Waveform(family, bitsPerSecond: rate, interleaver: interleaver) else {
            let choices = family.interleavers(at: rate).map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            table.report("interleaver", "\(family.name) does not have this one at \(rate) bit/s", allowed: choices)
            return nil
        }
        return waveform
    }

    private func rateChange(_ table: TableReader, _ modem: RadioLink.Modem?) -> RadioLink.RateChange {
        defer { table.finish() }
        var change = RadioLink.RateChange()
        let margin = table.number("margin-db", in: -20...40)
        let policies: [(String, RatePolicy)] = [
            ("off", .off), ("trinder", .trinder), ("snr", .snr(margin: margin ?? 3))
        ]
        change.policy = table.choice("policy", policies) ?? .off
        let lowest = table.integer("lowest", in: 1...1_000_000)
        let highest = table.integer("highest", in: 1...1_000_000)
        if let lowest, let highest, lowest > highest {
            table.report("lowest", "above highest", allowed: "at most \(highest)")
            return change
        }
        change.rates = (lowest ?? 0)...(highest ?? .max)
        guard let waveform = modem?.waveform, change.policy != .off else { return change }
        if !waveform.family.isAutobaud {
            table.report(
                "policy", "receivers of \(waveform.family.name) are set to one rate and do not recognise another",
                allowed: "\"off\"")
        } else if waveform.thresholds == nil {
            table.report(
                "policy", "no rate can be chosen from \(waveform), which has no thresholds", allowed: "\"off\"")
        }
        if !change.rates.contains(waveform.bitsPerSecond) {
            let key = (lowest ?? 0) > waveform.bitsPerSecond ? "lowest" : "highest"
            table.report(
                key, "the modem's rate is not among these", allowed: "a range around \(waveform.bitsPerSecond)")
        }
        return change
    }

    // MARK: Node

    private func node(_ table: TableReader, _ modem: RadioLink.Modem?) -> RadioLink.Node {
        defer { table.finish() }
        var node = RadioLink.Node()
        let times = TimeAmount.zero ... .minutes(10)
        _ = table.choice("duplex", [("half", ())], unavailable: ["full"])
        node.turnaround = table.duration("turnaround", in: times) ?? node.turnaround
        node.maximumTransmission =
            table.duration("maximum-transmission", in: .seconds(1) ... .milliseconds(127_500))
            ?? node.maximumTransmission
        node.alwaysTransmitsMaximum = table.boolean("always-maximum") ?? node.alwaysTransmitsMaximum
        node.window = table.integer("window", in: 1...128) ?? node.window
        node.segmentBytes = table.integer("segment", in: 1...1_023) ?? node.segmentBytes
        node.addressBytes = table.integer("address-bytes", in: 1...7) ?? node.addressBytes
        node.acknowledgementCopies = table.integer("acknowledgement-copies", in: 1...16) ?? node.acknowledgementCopies
        node.holdOff = table.duration("hold-off", in: times) ?? node.holdOff
        node.answerMargin = table.duration("answer-margin", in: times) ?? node.answerMargin
        node.maximumMisses = table.integer("maximum-misses", in: 1...100) ?? node.maximumMisses
        node.maximumBackOff =
            table.duration("maximum-back-off", in: .seconds(1) ... .hours(1)) ?? node.maximumBackOff
        node.loss = table.choice("link-loss", RadioLink.Node.Loss.allCases.map { ($0.rawValue, $0) }) ?? node.loss
        node.callPause = table.duration("call-pause", in: .seconds(1) ... .hours(24)) ?? node.callPause
        if let modem {
            let frame = node.segmentBytes + 15 + node.addressBytes
            let time = modem.waveform.timing().dataDuration(bytes: frame)
            if time > node.maximumTransmission {
                let key = table.has("segment") ? "segment" : "maximum-transmission"
                table.report(
                    key, "one frame lasts \(ConfigurationUnits.format(time)) at \(modem.waveform.bitsPerSecond) bit/s",
                    allowed:
                        "a frame within maximum-transmission, \(ConfigurationUnits.format(node.maximumTransmission))")
            }
        }
        return node
    }

    private func softLink(_ table: TableReader) -> RadioLink.SoftLink {
        defer { table.finish() }
        var link = RadioLink.SoftLink()
        let times = TimeAmount.zero ... .hours(24)
        link.isUsed = table.boolean("used") ?? link.isUsed
        link.callAttempts = table.integer("call-attempts", in: 1...100) ?? link.callAttempts
        link.breakAttempts = table.integer("break-attempts", in: 1...100) ?? link.breakAttempts
        link.idle = table.duration("idle", in: times) ?? link.idle
        link.minimumHold = table.duration("minimum-hold", in: times) ?? link.minimumHold
        link.firstData = table.duration("first-data", in: times) ?? link.firstData
        return link
    }

    private func clients(_ table: TableReader) -> RadioLink.Clients {
        defer { table.finish() }
        var clients = RadioLink.Clients()
        clients.flowControl =
            table.choice("flow-control", RadioLink.Clients.FlowControl.allCases.map { ($0.rawValue, $0) })
            ?? clients.flowControl
        clients.queueBytes = table.size("queue", in: 2_048...(64 << 20)) ?? clients.queueBytes
        clients.maximumUnit = table.size("mtu", in: 128...4_096) ?? clients.maximumUnit
        clients.sendsTimeToDie = table.boolean("time-to-die") ?? clients.sendsTimeToDie
        clients.clientConfirmation =
            table.duration("client-confirmation", in: .seconds(1) ... .hours(24)) ?? clients.clientConfirmation
        if clients.queueBytes < clients.maximumUnit {
            table.report("queue", "less than one unit", allowed: "at least mtu, \(clients.maximumUnit)")
        }
        return clients
    }

    private func silence(_ table: TableReader) -> RadioLink.Silence? {
        defer { table.finish() }
        let isSecond = table.choice("node", [("first", false), ("second", true)])
        let from = table.duration("from", in: .zero ... .hours(24 * 365))
        let until = table.duration("until", in: .zero ... .hours(24 * 365))
        for key in ["node", "from", "until"] where !table.has(key) {
            table.reportMissing(key, allowed: "node = \"first\" or \"second\", from and until since the start")
        }
        guard let isSecond, let from, let until else { return nil }
        guard from < until else {
            table.report("until", "not after from", allowed: "later than \(ConfigurationUnits.format(from))")
            return nil
        }
        return RadioLink.Silence(isSecondNode: isSecond, from: from, until: until)
    }
}
