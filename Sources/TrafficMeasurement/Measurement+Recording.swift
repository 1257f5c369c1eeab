package import TrafficRecording
import NIOCore
import XMPP

extension Measurement {
    /// Why a recording cannot be measured, in words that can follow the name of its file.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    /// Measures one recording with fresh bridges.
    ///
    /// - Throws: when a stanza is without addresses, or one domain is at both sites.
    package init(_ recording: RecordedTraffic, _ options: TrafficReplay.Options) throws(Failure) {
        var stanzas: [MeasuredStanza] = []
        var domains: [[Domain]] = [[], []]
        for (place, entry) in recording.entries.enumerated() {
            let side = entry.site == .a ? 0 : 1
            guard let from = entry.stanza.fromDomain, let to = entry.stanza.toDomain else {
                throw Failure(description: "entry \(place + 1) has no from or no to")
            }
            if !domains[side].contains(from) { domains[side].append(from) }
            if !domains[1 - side].contains(to) { domains[1 - side].append(to) }
            stanzas.append(
                MeasuredStanza(
                    side: side, seconds: Double(entry.time.nanoseconds) / 1e9, written: Array(entry.source.readableBytesView),
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
