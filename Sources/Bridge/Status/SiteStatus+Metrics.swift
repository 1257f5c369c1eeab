import BridgeCore
import NIOCore
import STANAG5066
import ServerStreams
import Transports
import XMPP

extension SiteStatus {
    /// All metrics in the text format of Prometheus, version 0.0.4. Labels are names from the configuration and words of
    /// this program, never addresses of users.
    package var metrics: String {
        var writer = MetricWriter()
        writer.add(.info, [version], 1)
        writer.add(.uptime, [], seconds(uptime))
        writer.add(.healthy, [], healthProblem == nil ? 1 : 0)
        if journalMode == .durable {
            writer.add(.journalCommits, [], journal.commits)
            writer.add(.journalFailures, [], journal.failedCommits)
            writer.add(.journalStalled, [], journal.stalledSince == nil ? 0 : 1)
        }
        writer.add(.localStreams, [], local.streams.count)
        writer.add(.localConnections, [], localConnections)
        writer.add(.localRefused, [], refusedConnections)
        writer.add(.localStanzas, ["in"], stanzasFromServer)
        writer.add(.localStanzas, ["out"], stanzasToServer)
        writer.add(.localBytes, [], bytesFromServer)
        writer.add(.localInDoubt, [], local.stanzasInDoubt)
        writer.add(.localRepeats, [], local.repeatedStanzas)
        writer.add(.localQueued, [], local.queuedStanzas)
        writer.add(.localQueuedBytes, [], local.queuedBytes)
        for count in local.counts { writer.add(.localEvents, [count.kind.rawValue], count.count) }
        writer.add(.linkPauses, [], linkPauses)
        addBinds(&writer)
        for peer in peers {
            addLink(peer, &writer)
            addQueues(peer, &writer)
        }
        return writer.text
    }

    private func seconds(_ amount: TimeAmount) -> UInt64 { UInt64(clamping: amount.nanoseconds / 1_000_000_000) }

    private func addLink(_ peer: Peer, _ writer: inout MetricWriter) {
        let (name, link, core) = (peer.name, peer.link, peer.core)
        writer.add(.linkUp, [name], link.state == .connected ? 1 : 0)
        writer.add(.linkSeconds, [name], seconds(takenAt - core.linkSince))
        writer.add(.linkReconnects, [name], link.reconnects)
        writer.add(.linkBytes, [name, "in"], link.bytesReceived)
        writer.add(.linkBytes, [name, "out"], link.bytesSent)
        for (direction, counts) in [("in", core.received), ("out", core.sent)] {
            writer.add(.linkStanzas, [name, direction, "message"], counts.messages)
            writer.add(.linkStanzas, [name, direction, "presence"], counts.presences)
            writer.add(.linkStanzas, [name, direction, "iq"], counts.iqs)
        }
        if core.session != nil {
            writer.add(.linkBlocks, [name, "in"], link.blocksReceived)
            writer.add(.linkBlocks, [name, "out"], link.blocksSent)
            writer.add(.linkText, [name], core.traffic.sentText)
            writer.add(.linkFolded, [name, "message"], core.traffic.folded.messages)
            writer.add(.linkFolded, [name, "presence"], core.traffic.folded.presences)
            writer.add(.inFlight, [name], core.inFlightStanzas)
            writer.add(.inFlightBytes, [name], core.inFlightBytes)
            writer.add(.acknowledged, [name], core.acknowledgedStanzas)
        } else {
            writer.add(.linkInDoubt, [name], link.stanzasUnacknowledged)
        }
    }

    /// Peers behind one access point share its bind, which counts once.
    private func addBinds(_ writer: inout MetricWriter) {
        var seen: Set<[String]> = []
        for peer in peers {
            guard let bind = peer.link.bind else { continue }
            for drop in bind.drops { writer.add(.rcopDrops, [peer.name, drop.reason.words(joinedBy: "_")], drop.count) }
            let labels = [bind.node, "\(bind.sap.number)"]
            guard seen.insert(labels).inserted else { continue }
            writer.add(.nodeStrangers, labels, bind.strangers)
            writer.add(.nodeRefused, labels, bind.refused)
        }
    }

    private func addQueues(_ peer: Peer, _ writer: inout MetricWriter) {
        let (name, core) = (peer.name, peer.core)
        for waiting in core.classes {
            writer.add(.queued, [name, waiting.stanzaClass.text], waiting.stanzas)
            writer.add(.queuedBytes, [name, waiting.stanzaClass.text], waiting.bytes)
            let age = waiting.oldestArrival.map { seconds(takenAt - $0) } ?? 0
            writer.add(.oldest, [name, waiting.stanzaClass.text], age)
        }
        writer.add(.inbox, [name], core.inboxStanzas)
        writer.add(.inboxBytes, [name], core.inboxBytes)
        writer.add(.inboxInDoubt, [name], core.inboxInDoubt)
        writer.add(.setAside, [name], core.poison.count)
        writer.add(.requests, [name, "local"], core.pendingLocalRequests)
        writer.add(.requests, [name, "remote"], core.pendingRemoteRequests)
        writer.add(.rooms, [name, "local"], core.knownLocalRooms)
        writer.add(.rooms, [name, "remote"], core.knownRemoteRooms)
        writer.add(.superseded, [name], core.supersededPresences)
        writer.add(.expired, [name], core.expiredPresences)
        for bounce in core.bounces { writer.add(.bounces, [name, bounce.condition.rawValue], bounce.count) }
        for event in core.events { writer.add(.events, [name, event.event.words(joinedBy: "_")], event.count) }
    }
}

extension CaseIterable {
    /// The name of a case as words: `journal_stalled`, `journal-stalled`.
    func words(joinedBy separator: String) -> String {
        var words = ""
        for character in "\(self)" {
            if character.isUppercase { words += separator }
            words += character.lowercased()
        }
        return words
    }
}

/// Gathers values and writes them family by family, as the format demands.
struct MetricWriter {
    private var samples: [String: [String]] = [:]

    mutating func add(_ family: MetricFamily, _ labels: [String], _ value: some BinaryInteger) {
        precondition(labels.count == family.labels.count, "\(family.name) takes \(family.labels.count) labels")
        let pairs = zip(family.labels, labels).map { "\($0)=\"\(Self.escaped($1))\"" }
        let shown = pairs.isEmpty ? "" : "{" + pairs.joined(separator: ",") + "}"
        samples[family.name, default: []].append("\(family.name)\(shown) \(value)\n")
    }

    /// Families without a value are left out.
    var text: String {
        var text = ""
        for family in MetricFamily.all {
            guard let lines = samples[family.name] else { continue }
            text += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
            text += lines.joined()
        }
        return text
    }

    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
