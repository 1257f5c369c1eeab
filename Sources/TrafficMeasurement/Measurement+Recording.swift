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
    /// - Throws: when it holds what is no stanza, or a site that is neither `a` nor `b`.
    package init(_ recording: RecordedTraffic, _ options: TrafficReplay.Options) throws(Failure) {
        let reader = StanzaReader()
        var stanzas: [MeasuredStanza] = []
        var domains: [[Domain]] = [[], []]
        for (place, entry) in recording.entries.enumerated() {
            guard let side = ["a", "b"].firstIndex(of: entry.site) else {
                throw Failure(description: "entry \(place + 1) is from site \"\(entry.site)\"; there are a and b")
            }
            let stanza: Stanza
            do throws(StreamError) {
                stanza = try reader.read(ByteBuffer(string: entry.xml))
            } catch {
                throw Failure(description: "entry \(place + 1) cannot be read: \(error.condition.rawValue)")
            }
            guard let from = stanza.fromDomain, let to = stanza.toDomain else {
                throw Failure(description: "entry \(place + 1) has no from or no to")
            }
            if !domains[side].contains(from) { domains[side].append(from) }
            if !domains[1 - side].contains(to) { domains[1 - side].append(to) }
            stanzas.append(
                MeasuredStanza(side: side, seconds: entry.seconds, written: Array(entry.xml.utf8), stanza: stanza))
        }
        if let both = domains[0].first(where: domains[1].contains) {
            throw Failure(description: "\(both) is at both sites")
        }
        let replay = TrafficReplay(options, domains: domains)
        for stanza in stanzas { replay.add(stanza) }
        self = replay.finish()
    }
}
