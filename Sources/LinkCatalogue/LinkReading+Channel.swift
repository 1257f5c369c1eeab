import ConfigurationText
import HFNode
import NIOCore

/// `[channel]` and `[reverse-channel]`.
extension LinkReading {
    func channel(_ table: TableReader, _ modem: RadioLink.Modem?) -> ChannelConfiguration {
        defer { table.finish() }
        let mode = table.choice("mode", ChannelConfiguration.Mode.allCases.map { ($0.rawValue, $0) })
        if !table.has("mode") { table.reportMissing("mode", allowed: "\"clean\", \"table\" or \"fading\"") }
        var channel = ChannelConfiguration(mode: mode ?? .clean)
        let classes: [(String, FadingClass?)] = FadingClass.allCases.map { ($0.rawValue, $0) } + [("none", nil)]
        channel.fading = table.choice("fading", classes) ?? nil
        let schedule = meanSNR(table)
        channel.variation = variation(table)
        channel.blackouts = blackouts(table)
        guard let mode else { return channel }
        guard mode != .clean else {
            for key in ["fading", "snr-db", "variation", "blackouts"] where table.has(key) && !table.isWord(key, "none")
            {
                table.report(
                    key, "nothing is lost on a clean channel", allowed: "remove it, or choose another mode",
                    showsValue: false)
            }
            return .clean
        }
        if let schedule { channel.meanSNR = schedule }
        if !table.has("snr-db") { table.reportMissing("snr-db", allowed: Self.snrForms) }
        if let waveform = modem?.waveform {
            if waveform.thresholds == nil {
                table.report("mode", "no thresholds are published for \(waveform)", allowed: "\"clean\"")
            } else if let fading = channel.fading, !fading.permits(narrowbandRate: waveform.narrowbandRate) {
                table.report(
                    "fading", "no modem follows \(Int(fading.dopplerSpread)) Hz at \(waveform.bitsPerSecond) bit/s",
                    allowed: "at most 1200 bit/s in LD, HM and HD")
            }
        }
        return channel
    }

    private static let decibels = -100.0...100
    private static let times = TimeAmount.seconds(1) ... .hours(24 * 365)
    private static let snrForms = """
        a number of dB, or a schedule: { points = [{ at = "0m", snr-db = 10 }, …], period = "24h" }, \
        { mean = 15, amplitude = 10, period = "10m" } or { from = -5, to = 30, duration = "60m" }
        """

    // MARK: Signal

    private func meanSNR(_ table: TableReader) -> SNRSchedule? {
        guard table.isTable("snr-db") else { return table.number("snr-db", in: Self.decibels).map { .constant($0) } }
        guard let schedule = table.table("snr-db") else { return nil }
        if schedule.has("points") { return points(schedule) }
        if schedule.has("mean") { return sinusoid(schedule) }
        if schedule.has("from") { return sweep(schedule) }
        table.report("snr-db", "not a schedule", allowed: Self.snrForms, showsValue: false)
        return nil
    }

    private func sinusoid(_ schedule: TableReader) -> SNRSchedule? {
        defer { schedule.finish() }
        let mean = schedule.number("mean", in: Self.decibels)
        let amplitude = required(schedule, "amplitude") { schedule.number($0, in: 0...100) }
        let period = required(schedule, "period") { schedule.duration($0, in: Self.times) }
        guard let mean, let amplitude, let period else { return nil }
        return .sinusoid(mean: mean, amplitude: amplitude, period: period)
    }

    private func sweep(_ schedule: TableReader) -> SNRSchedule? {
        defer { schedule.finish() }
        let from = schedule.number("from", in: Self.decibels)
        let to = required(schedule, "to") { schedule.number($0, in: Self.decibels) }
        let duration = required(schedule, "duration") { schedule.duration($0, in: Self.times) }
        guard let from, let to, let duration else { return nil }
        return .sweep(from: from, to: to, duration: duration)
    }

    private func points(_ schedule: TableReader) -> SNRSchedule? {
        defer { schedule.finish() }
        var points: [SNRSchedule.Point] = []
        for table in schedule.tables("points") {
            let time = required(table, "at") { table.duration($0, in: .zero ... .hours(24 * 365)) }
            let decibels = required(table, "snr-db") { table.number($0, in: Self.decibels) }
            table.finish()
            guard let time, let decibels else { continue }
            if let last = points.last, last.time >= time {
                table.report(
                    "at", "not after the point before", allowed: "later than \(ConfigurationUnits.format(last.time))")
                continue
            }
            points.append(SNRSchedule.Point(time: time, decibels: decibels))
        }
        let period = schedule.duration("period", in: Self.times)
        if points.isEmpty {
            schedule.report("points", "no points", allowed: "[{ at = \"0m\", snr-db = 10 }, …]", showsValue: false)
            return nil
        }
        if let period, let last = points.last, last.time > period {
            schedule.report(
                "period", "shorter than the schedule", allowed: "at least \(ConfigurationUnits.format(last.time))")
        }
        return .points(points, period: period)
    }

    // MARK: Disturbances

    private func variation(_ table: TableReader) -> IntermediateTermVariation? {
        if table.isWord("variation", "none") { return nil }
        guard let variation = table.table("variation") else { return nil }
        defer { variation.finish() }
        let deviation = required(variation, "deviation-db") { variation.number($0, in: 0...30) }
        let correlation = required(variation, "correlation") {
            variation.duration($0, in: .seconds(1) ... .hours(1))
        }
        guard let deviation, let correlation else { return nil }
        return IntermediateTermVariation(deviation: deviation, correlation: correlation)
    }

    private func blackouts(_ table: TableReader) -> Blackouts? {
        if table.isWord("blackouts", "none") { return nil }
        guard let blackouts = table.table("blackouts") else { return nil }
        defer { blackouts.finish() }
        let duration = required(blackouts, "duration") { blackouts.duration($0, in: Self.times) }
        let interval = required(blackouts, "mean-interval") { blackouts.duration($0, in: Self.times) }
        guard let duration, let interval else { return nil }
        guard duration.nanoseconds <= 10 * interval.nanoseconds else {
            blackouts.report("duration", "there would hardly be light", allowed: "at most ten times mean-interval")
            return nil
        }
        return Blackouts(duration: duration, meanInterval: interval)
    }

    private func required<Value>(_ table: TableReader, _ key: String, _ read: (String) -> Value?) -> Value? {
        if !table.has(key) { table.reportMissing(key, allowed: "a value: it has no default here") }
        return read(key)
    }
}
