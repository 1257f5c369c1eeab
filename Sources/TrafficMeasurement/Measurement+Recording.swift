package import TrafficRecording
import NIOCore
import XMPP

extension Measurement {
    /// Why a recording cannot be measured, in words that can follow the name of its file.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    /// Seconds of the bridges, a hundred years: their clock counts nanoseconds in 64 bits.
    static let longestReplay = 100 * 365.25 * 86_400

    /// Measures one recording with fresh bridges.
    ///
    /// - Throws: when a stanza is without addresses, one domain is at both sites, or the time scale makes the recording
    ///   longer than ``longestReplay``.
    package init(_ recording: RecordedTraffic, _ options: TrafficReplay.Options) throws(Failure) {
        var stanzas: [MeasuredStanza] = []
        var domains: [[Domain]] = [[], []]
        for (place, entry) in recording.entries.enumerated() {
            let side = entry.site == .a ? 0 : 1
            guard let from = entry.stanza.fromDomain, let to = entry.stanza.toDomain else {
                throw Failure(description: "entry \(place + 1) has no from or no to")
            }
            let seconds = Double(entry.time.nanoseconds) / 1e9
            guard seconds * (options.timeScale ?? 0) <= Self.longestReplay else {
                throw Failure(description: "entry \(place + 1) is more than a hundred years away with this time scale")
            }
            if !domains[side].contains(from) { domains[side].append(from) }
            if !domains[1 - side].contains(to) { domains[1 - side].append(to) }
            stanzas.append(
                MeasuredStanza(
                    side: side, seconds: seconds, written: Array(entry.source.readableBytesView),
                    stanza: entry.stanza))
        }
        if let both = domains[0].first(where: domains[1].contains) {
            throw Failure(description: "\(both) is at both sites")
        }
        let replay = TrafficReplay(options, domains: domains)
        for stanza in stanzas { replay.add(stanza) }
        self = replay.finish()
    }
}
