import BridgeCore
import NIOCore
import ServerStreams
import XMPP

extension SiteStatus {
    /// For programs: `skywave status --json`, `GET /status`.
    package var json: JSONText {
        .object([
            ("version", .string(version)),
            ("uptime-seconds", .integer(uptime.nanoseconds / 1_000_000_000)),
            ("domains", .array(domains.map { .string($0.string) })),
            (
                "local",
                .object([
                    ("server", .string(server)), ("attachment", .string(attachment)),
                    ("connections", .count(localConnections)), ("refused-connections", .count(refusedConnections)),
                    ("stanzas-from-server", .count(stanzasFromServer)), ("stanzas-to-server", .count(stanzasToServer)),
                    ("bytes-from-server", .count(bytesFromServer)),
                    ("in-doubt-stanzas", .count(local.stanzasInDoubt)),
                    ("repeated-stanzas", .count(local.repeatedStanzas)),
                    ("queued-stanzas", .count(local.queuedStanzas)), ("queued-bytes", .count(local.queuedBytes)),
                    ("link-pauses", .count(linkPauses)), ("streams", .array(local.streams.map(\.json))),
                    ("queues", .array(local.queues.map(\.json))),
                    ("recent-problems", .array(local.recentProblems.map { .string($0.text) })),
                    ("events", .object(local.counts.map { ($0.kind.rawValue, .count($0.count)) })),
                ])
            ),
            ("healthy", .boolean(healthProblem == nil)),
            ("journal", journalJSON),
            ("problems", .array(problems.map { .string($0) })),
            ("peers", .array(peers.map { $0.json(now: takenAt) })),
        ])
    }

    /// For people: `skywave status`. Names and reasons that come from elsewhere are escaped.
    package var text: String {
        var lines = ["skywave \(version), up \(SiteStatus.span(uptime))" + (isStopping ? ", stopping" : "")]
        let encrypted = local.streams.count { $0.isEncrypted }
        lines.append(
            "site \(domains.map(\.string).joined(separator: ", ")): server \(server) (\(attachment)), "
                + "\(local.streams.count) streams, \(encrypted) of them encrypted, "
                + "\(stanzasFromServer) stanzas from the server, \(stanzasToServer) to it")
        if local.stanzasInDoubt > 0 || local.repeatedStanzas > 0 {
            lines.append(
                "  since the start \(local.stanzasInDoubt) stanzas in doubt because a stream with the server broke, "
                    + "\(local.repeatedStanzas) repeats recognised and not sent twice")
        }
        for stream in local.streams {
            let pairs = stream.pairs.map { "\($0.remote) with \($0.local)" }.joined(separator: ", ")
            let place = stream.isEncrypted ? "encrypted" : "in the clear"
            lines.append(
                "  \(stream.direction.rawValue) \(stream.connection): \(stream.state), \(place), "
                    + (stream.isAcknowledged ? "with XEP-0198, " : "") + "\(stream.unacknowledged) unacknowledged"
                    + (pairs.isEmpty ? "" : "; speaks for \(pairs)"))
        }
        for queue in local.queues where queue.stanzas > 0 {
            lines.append(
                "  \(queue.remote) to \(queue.local?.string ?? "the server"): \(queue.state), \(queue.stanzas) stanzas wait")
        }
        if journalMode == .durable {
            lines.append(
                "  journal: \(journal.commits) commits"
                    + (journal.failedCommits > 0 ? ", \(journal.failedCommits) failed" : ""))
        } else {
            lines.append("  journal: none; what waits is lost in a crash")
        }
        lines += problems.map { "  problem: \($0)" }
        for peer in peers { lines += peer.lines(now: takenAt) }
        return SiteStatus.escaped(lines)
    }

    private var journalJSON: JSONText {
        guard journalMode == .durable else { return .null }
        return .object([
            ("commits", .count(journal.commits)), ("failed-commits", .count(journal.failedCommits)),
            ("stalled-seconds", .seconds(since: journal.stalledSince, now: takenAt)),
        ])
    }

    /// One text of all lines; nothing in it can disturb a terminal.
    static func escaped(_ lines: [String]) -> String {
        var text = ""
        for line in lines {
            LogEscape.appendText(line, to: &text)
            text += "\n"
        }
        return text
    }

    static func stanzas(_ count: Int) -> String { count == 1 ? "1 stanza" : "\(count) stanzas" }

    /// A time span in its two largest units.
    static func span(_ amount: TimeAmount) -> String {
        let seconds = amount.nanoseconds / 1_000_000_000
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3_600: return "\(seconds / 60) min \(seconds % 60) s"
        case ..<86_400: return "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
        default: return "\(seconds / 86_400) d \(seconds % 86_400 / 3_600) h"
        }
    }
}

extension LocalSideStatus.Stream {
    fileprivate var json: JSONText {
        .object([
            ("connection", .count(connection.number)), ("direction", .string(direction.rawValue)),
            ("state", .string(state)), ("encrypted", .boolean(isEncrypted)),
            ("stream-management", .boolean(isAcknowledged)), ("unacknowledged", .count(unacknowledged)),
            (
                "pairs",
                .array(
                    pairs.map { .object([("remote", .string($0.remote.string)), ("local", .string($0.local.string))]) })
            ),
        ])
    }
}

extension LocalSideStatus.Queue {
    fileprivate var json: JSONText {
        .object([
            ("remote", .string(remote.string)), ("local", .text(local?.string)), ("state", .string(state)),
            ("stanzas", .count(stanzas)), ("bytes", .count(bytes)), ("last-error", .text(lastError)),
        ])
    }
}

extension PeerStatus.KindCounts {
    var json: JSONText {
        .object([("messages", .count(messages)), ("presences", .count(presences)), ("iqs", .count(iqs))])
    }
}
