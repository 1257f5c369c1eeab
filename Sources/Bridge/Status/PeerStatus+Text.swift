import BridgeCore
import LocalAnswers
import NIOCore
import Outbox
import STANAG5066
import Transports
import XMPP

/// One peer in `skywave status`.
extension SiteStatus.Peer {
    func json(now: NIODeadline) -> JSONText {
        .object([
            ("name", .string(name)), ("domains", .array(domains.map { .string($0) })),
            ("problems", .array(problems(now: now).map { .string($0) })),
            ("link", linkJSON(now: now)),
            (
                "outbox",
                .object([
                    ("stanzas", .count(core.queuedStanzas)), ("bytes", .count(core.queuedBytes)),
                    ("oldest-seconds", .seconds(since: core.oldestArrival, now: now)),
                    ("in-flight-stanzas", .count(core.inFlightStanzas)),
                    ("in-flight-bytes", .count(core.inFlightBytes)),
                    ("in-doubt-stanzas", .count(link.stanzasUnacknowledged)),
                    ("acknowledged-stanzas", .count(core.acknowledgedStanzas)),
                    ("classes", .array(core.classes.map { $0.json(now: now) })),
                ])
            ),
            (
                "inbox",
                .object([
                    ("stanzas", .count(core.inboxStanzas)), ("bytes", .count(core.inboxBytes)),
                    ("in-doubt-stanzas", .count(core.inboxInDoubt)), ("holds-link", .boolean(core.isLinkHeld)),
                ])
            ),
            (
                "rooms",
                .object([
                    ("joins", .count(core.roomJoins)), ("in-repair", .count(core.roomJoinsInRepair)),
                    ("kicks-undone", .count(core.roomCounts.kicksRepaired)),
                    ("joins-renewed", .count(core.roomCounts.rejoins)), ("told-to-have-left", .count(core.roomCounts.told)),
                    ("replays-swallowed", .count(core.roomCounts.replaysSwallowed)),
                    ("joins-not-remembered", .count(core.roomCounts.notRemembered)),
                ])
            ),
            ("answers", answersJSON(now: now)),
            ("set-aside", .array(core.poison.map(\.json))),
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

    private func answersJSON(now: NIODeadline) -> JSONText {
        let answers = core.answers
        return .object([
            ("disco-info-answered", .count(answers.discoAnswers)), ("vcards-answered", .count(answers.vCardAnswers)),
            ("room-pings-answered", .count(answers.roomPingAnswers)), ("disco-infos", .count(answers.discoResults)),
            ("disco-infos-not-believed", .count(answers.unverified)), ("vcards", .count(answers.vCards)),
            ("vcard-bytes", .count(answers.vCardBytes)),
            ("oldest-vcard-seconds", .seconds(since: answers.oldestVCard, now: now)),
            ("room-places", .count(answers.roomPlaces)),
        ])
    }

    private func linkJSON(now: NIODeadline) -> JSONText {
        .object([
            ("state", .string(link.sentence(now: now))), ("warning", .text(link.warning)),
            ("dialect", .string(core.session == nil ? "xep" : "skywave")),
            ("connected", .boolean(link.state == .connected)),
            ("seconds-up-or-down", .seconds(since: core.linkSince, now: now)),
            ("seconds-in-state", .seconds(since: link.since, now: now)),
            ("bytes-sent", .count(link.bytesSent)), ("bytes-received", .count(link.bytesReceived)),
            ("blocks-sent", .count(link.blocksSent)), ("blocks-received", .count(link.blocksReceived)),
            ("batches-sent", .count(link.batchesSent)), ("stanzas-sent", .count(link.stanzasSent)),
            ("stanzas-received", .count(link.stanzasReceived)), ("oversize-received", .count(link.oversizeReceived)),
            ("held-units", .count(link.heldUnits)), ("held-bytes", .count(link.heldBytes)),
            ("reconnects", .count(link.reconnects)), ("last-error", .text(link.lastError)),
            ("text-bytes-in-blocks", .count(core.traffic.sentText)), ("folded", core.traffic.folded.json),
            ("ratio", ratio.map { .number($0) } ?? .null),
            ("session", sessionJSON), ("node", link.bind.map(\.json) ?? .null),
        ])
    }

    private var sessionJSON: JSONText {
        guard let session = core.session else { return .null }
        return .object([
            ("epoch", .string(String(session.epoch, radix: 16))), ("number", .count(session.number)),
            ("peer-recognised", .boolean(session.isPeerRecognised)),
            ("unacknowledged-blocks", .count(session.unacknowledgedBlocks)), ("remark", .text(session.remark)),
        ])
    }

    /// Bytes of stanzas that one byte in a block carries; nil until a block with stanzas was sent.
    private var ratio: Double? { core.traffic.sentText == 0 ? nil : core.traffic.ratio }

    /// For people.
    func lines(now: NIODeadline) -> [String] {
        var state = link.sentence(now: now)
        if state.last == "." { state.removeLast() }
        let place = domains.joined(separator: ", ")
        let how = link.state == .connected ? "up" : "down"
        var lines = ["peer \(name) (\(place)): \(state); \(how) for \(SiteStatus.span(now - core.linkSince))"]
        if let warning = link.warning { lines.append("  WARNING: \(warning)") }
        lines += problems(now: now).map { "  problem: \($0)" }
        lines.append(
            "  sent \(core.sent.total) stanzas, received \(core.received.total); "
                + "\(link.bytesSent) bytes out, \(link.bytesReceived) in; \(link.reconnects) reconnects")
        if let session = core.session {
            lines.append(
                "  \(core.traffic.sentBlocks) blocks out, \(core.traffic.receivedBlocks) in"
                    + (ratio.map { "; one byte in a block carries \(JSONText.number($0).text) bytes of stanzas" } ?? "")
                    + (core.traffic.folded.total == 0
                        ? "" : "; \(core.traffic.folded.total) stanzas crossed in the record of another")
                    + (session.remark.map { "; \($0)" } ?? ""))
        }
        lines += queueLines(now: now)
        if core.roomJoins > 0 {
            let lookedFor = core.roomJoinsInRepair > 0 ? ", \(core.roomJoinsInRepair) of them looked for after a gap" : ""
            lines.append("  \(core.roomJoins) joins of the peer's users in our rooms\(lookedFor)")
        }
        if let wasted = link.bind?.wasted { lines.append("  through the node in vain: \(wasted)") }
        let answers = core.answers
        if answers.discoResults + answers.vCards > 0 {
            let age = answers.oldestVCard.map { ", the oldest for \(SiteStatus.span(now - $0))" } ?? ""
            lines.append(
                "  known for answering here: abilities of \(answers.discoResults) clients, \(answers.vCards) vCards\(age)")
        }
        for event in core.events { lines.append("  \(event.count) × \(event.event.rawValue)") }
        return lines
    }

    private func queueLines(now: NIODeadline) -> [String] {
        var lines: [String] = []
        if core.queuedStanzas == 0 {
            lines.append("  nothing waits for the link")
        } else {
            let rows = core.classes.filter { $0.stanzas > 0 }.map { waiting in
                [
                    waiting.stanzaClass.text, "\(waiting.stanzas)", "\(waiting.bytes)",
                    waiting.oldestArrival.map { SiteStatus.span(now - $0) } ?? "-",
                ]
            }
            let table = TextTable.lines([["waiting", "stanzas", "bytes", "oldest for"]] + rows, alignedRight: [1, 2])
            lines += table.map { "  " + $0 }
        }
        if core.session != nil {
            lines.append(
                "  in flight: \(SiteStatus.stanzas(core.inFlightStanzas)), \(core.inFlightBytes) bytes; "
                    + "\(core.acknowledgedStanzas) acknowledged by the peer")
        } else if core.inFlightStanzas > 0 || core.acknowledgedStanzas > 0 {
            lines.append(
                "  in flight: \(SiteStatus.stanzas(core.inFlightStanzas)), \(core.inFlightBytes) bytes; "
                    + "\(core.acknowledgedStanzas) confirmed by the node")
        } else if link.stanzasUnacknowledged > 0 {
            let doubtful = SiteStatus.stanzas(Int(clamping: link.stanzasUnacknowledged))
            lines.append("  in doubt, should the connection break now: \(doubtful)")
        }
        if link.heldUnits > 0 {
            lines.append("  came and not taken: \(link.heldUnits) units, \(link.heldBytes) bytes; a crash loses them in dialect xep")
        }
        if core.inboxStanzas > 0 {
            lines.append(
                "  for the local server: \(SiteStatus.stanzas(core.inboxStanzas)), \(core.inboxBytes) bytes; "
                    + "\(core.inboxInDoubt) of them given to it and not confirmed")
        }
        return lines
    }
}

extension NodeBindStatus {
    fileprivate var json: JSONText {
        .object([
            ("address", .string(node)), ("sap", .count(Int(sap.number))), ("stranger-units", .count(strangers)),
            ("refused-units", .count(refused)),
            ("rcop-drops", .object(drops.map { ($0.reason.words(joinedBy: "-"), .count($0.count)) })),
        ])
    }

    /// What came and was of no use; nil for nothing.
    fileprivate var wasted: String? {
        var parts: [String] = []
        if strangers > 0 { parts.append("\(strangers) × unit of no peer") }
        if refused > 0 { parts.append("\(refused) × unit damaged or for another SAP") }
        parts += drops.map { "\($0.count) × \($0.reason.words(joinedBy: " "))" }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

extension PeerStatus.ClassStatus {
    fileprivate func json(now: NIODeadline) -> JSONText {
        .object([
            ("class", .string(stanzaClass.text)), ("stanzas", .count(stanzas)), ("bytes", .count(bytes)),
            ("oldest-seconds", .seconds(since: oldestArrival, now: now)),
        ])
    }
}

extension PeerStatus.Poison {
    fileprivate var json: JSONText {
        .object([("id", .count(id)), ("bytes", .count(bytes)), ("reason", .string(reason))])
    }
}

extension JSONText {
    /// Whole seconds since then; null for never.
    static func seconds(since: NIODeadline?, now: NIODeadline) -> JSONText {
        since.map { .integer(($0 > now ? 0 : (now - $0).nanoseconds) / 1_000_000_000) } ?? .null
    }
}
