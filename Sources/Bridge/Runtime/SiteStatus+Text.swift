import BridgeCore
import NIOCore
import ServerStreams
import Transports
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
                    ("queued-stanzas", .count(local.queuedStanzas)), ("queued-bytes", .count(local.queuedBytes)),
                    ("link-pauses", .count(linkPauses)), ("streams", .array(local.streams.map(\.json))),
                    ("queues", .array(local.queues.map(\.json))),
                    ("recent-problems", .array(local.recentProblems.map { .string($0.text) })),
                    ("events", .object(local.counts.map { ($0.kind.rawValue, .count($0.count)) })),
                ])
            ),
            ("peers", .array(peers.map { $0.json(now: takenAt) })),
        ])
    }

    /// For people: `skywave status`.
    package var text: String {
        var lines = ["skywave \(version), up \(SiteStatus.span(uptime))"]
        let encrypted = local.streams.count { $0.isEncrypted }
        lines.append(
            "site \(domains.map(\.string).joined(separator: ", ")): server \(server) (\(attachment)), "
                + "\(local.streams.count) streams, \(encrypted) of them encrypted, "
                + "\(stanzasFromServer) stanzas from the server, \(stanzasToServer) to it")
        for stream in local.streams {
            let pairs = stream.pairs.map { "\($0.remote) with \($0.local)" }.joined(separator: ", ")
            let place = stream.isEncrypted ? "encrypted" : "in the clear"
            lines.append(
                "  \(stream.direction.rawValue) \(stream.connection): \(stream.state), \(place)"
                    + (pairs.isEmpty ? "" : "; speaks for \(pairs)"))
        }
        for queue in local.queues where queue.stanzas > 0 || queue.lastError != nil {
            lines.append(
                "  \(queue.remote) to \(queue.local?.string ?? "the server"): \(queue.state), \(queue.stanzas) stanzas wait"
                    + (queue.lastError.map { "; last error: \($0)" } ?? ""))
        }
        for note in local.recentProblems.suffix(5) { lines.append("  lately: \(note.text)") }
        for peer in peers { lines += peer.lines(now: takenAt) }
        return lines.joined(separator: "\n") + "\n"
    }

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

extension SiteStatus.Peer {
    fileprivate func json(now: NIODeadline) -> JSONText {
        .object([
            ("name", .string(name)), ("domains", .array(domains.map { .string($0) })),
            (
                "link",
                .object([
                    ("state", .string(link.sentence(now: now))), ("warning", .text(link.warning)),
                    ("connected", .boolean(link.state == .connected)),
                    ("seconds-in-state", .integer((now - link.since).nanoseconds / 1_000_000_000)),
                    ("bytes-sent", .count(link.bytesSent)), ("bytes-received", .count(link.bytesReceived)),
                    ("batches-sent", .count(link.batchesSent)), ("stanzas-sent", .count(link.stanzasSent)),
                    ("stanzas-received", .count(link.stanzasReceived)),
                    ("oversize-received", .count(link.oversizeReceived)), ("reconnects", .count(link.reconnects)),
                    ("last-error", .text(link.lastError)),
                ])
            ),
            (
                "outbox",
                .object([
                    ("stanzas", .count(core.queuedStanzas)), ("bytes", .count(core.queuedBytes)),
                    (
                        "oldest-seconds",
                        core.oldestArrival.map { .integer((now - $0).nanoseconds / 1_000_000_000) } ?? .null
                    ),
                ])
            ),
            ("sent", core.sent.json), ("received", core.received.json),
            ("pending-local-requests", .count(core.pendingLocalRequests)),
            ("pending-remote-requests", .count(core.pendingRemoteRequests)),
            ("known-local-rooms", .count(core.knownLocalRooms)), ("known-remote-rooms", .count(core.knownRemoteRooms)),
            ("superseded-presences", .count(core.supersededPresences)),
            ("expired-presences", .count(core.expiredPresences)),
            ("events", .object(core.events.map { ($0.event.rawValue, .count($0.count)) })),
            ("bounces", .object(core.bounces.map { ($0.condition.rawValue, .count($0.count)) })),
        ])
    }

    fileprivate func lines(now: NIODeadline) -> [String] {
        var lines = ["peer \(name) (\(domains.joined(separator: ", "))): \(link.sentence(now: now))"]
        if let warning = link.warning { lines.append("  WARNING: \(warning)") }
        lines.append(
            "  sent \(core.sent.total) stanzas, received \(core.received.total); "
                + "\(link.bytesSent) bytes out, \(link.bytesReceived) in; \(link.reconnects) reconnects")
        let age = core.oldestArrival.map { ", the oldest for \(SiteStatus.span(now - $0))" } ?? ""
        lines.append("  \(core.queuedStanzas) stanzas (\(core.queuedBytes) bytes) wait for the link\(age)")
        if let error = link.lastError { lines.append("  last trouble: \(error)") }
        for event in core.events { lines.append("  \(event.count) × \(event.event.rawValue)") }
        return lines
    }
}

extension PeerStatus.KindCounts {
    fileprivate var json: JSONText {
        .object([("messages", .count(messages)), ("presences", .count(presences)), ("iqs", .count(iqs))])
    }
}
