/// One family of metrics: its name is a promise to those who collect it. `docs/metrics.md` lists all of them, and a test
/// holds the two together.
package struct MetricFamily: Equatable, Sendable {
    package enum Kind: String, Sendable {
        /// Goes up and down.
        case gauge
        /// Only grows, from 0 at the start of the daemon.
        case counter
    }

    package var name: String
    package var kind: Kind
    /// In this order.
    package var labels: [String]
    /// A sentence without a final stop.
    package var help: String

    private init(_ name: String, _ kind: Kind, _ labels: [String], _ help: String) {
        self.name = "skywave_" + name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    static let info = MetricFamily("info", .gauge, ["version"], "1, with the version of the bridge")
    static let uptime = MetricFamily("uptime_seconds", .gauge, [], "Time since the start")
    static let healthy = MetricFamily("healthy", .gauge, [], "1 while /healthz answers 200")
    static let journalCommits = MetricFamily("journal_commits_total", .counter, [], "Commits that became durable")
    static let journalFailures = MetricFamily("journal_failed_commits_total", .counter, [], "Commits that failed")
    static let journalStalled = MetricFamily(
        "journal_stalled", .gauge, [], "1 while the journal takes nothing new and stanzas of the server are refused")

    static let localStreams = MetricFamily("local_streams", .gauge, [], "Streams with the local server")
    static let localConnections = MetricFamily(
        "local_connections", .gauge, [], "TCP connections with the local server")
    static let localRefused = MetricFamily(
        "local_refused_connections_total", .counter, [], "Connections to the local listener over its limits")
    static let localStanzas = MetricFamily(
        "local_stanzas_total", .counter, ["direction"],
        "Stanzas `in` from the local server and `out` to it")
    static let localBytes = MetricFamily(
        "local_bytes_received_total", .counter, [], "XML from the local server, without TLS")
    static let localInDoubt = MetricFamily(
        "local_in_doubt_total", .counter, [],
        "Stanzas that the local server may have got twice (with XEP-0198) or not at all (without) because a stream broke")
    static let localRepeats = MetricFamily(
        "local_repeated_stanzas_total", .counter, [], "Stanzas that the local server sent again; not sent twice")
    static let localQueued = MetricFamily(
        "local_queued_stanzas", .gauge, [], "Stanzas that wait for a stream to the local server")
    static let localQueuedBytes = MetricFamily("local_queued_bytes", .gauge, [], "The same in bytes")
    static let localEvents = MetricFamily(
        "local_events_total", .counter, ["event"], "What happened on streams with the local server, by kind")
    static let linkPauses = MetricFamily(
        "link_pauses_total", .counter, [], "How often the links were held up because the local server read too slowly")

    static let linkUp = MetricFamily("link_up", .gauge, ["peer"], "1 while the link is connected")
    static let linkSeconds = MetricFamily(
        "link_state_seconds", .gauge, ["peer"], "Time since the link came up or went down")
    static let linkReconnects = MetricFamily(
        "link_reconnects_total", .counter, ["peer"], "How often the link came back after an interruption")
    static let linkBytes = MetricFamily(
        "link_bytes_total", .counter, ["peer", "direction"], "Payload of TCP, `in` and `out`, TLS included; through a node, bytes of units without headers of RCOP")
    static let linkBlocks = MetricFamily(
        "link_blocks_total", .counter, ["peer", "direction"], "Blocks, in dialect `skywave`")
    static let linkStanzas = MetricFamily(
        "link_stanzas_total", .counter, ["peer", "direction", "kind"], "Stanzas that crossed, by kind")
    static let linkText = MetricFamily(
        "link_text_bytes_total", .counter, ["peer"],
        "Bytes of stanzas that were cut into blocks; held against `link_bytes_total` it shows the compression")
    static let linkFolded = MetricFamily(
        "link_folded_total", .counter, ["peer", "kind"],
        "Stanzas that crossed in the record of another, from which they differ in `to` alone")

    static let nodeStrangers = MetricFamily(
        "node_stranger_units_total", .counter, ["node", "sap"],
        "STANAG 5066: U_PDUs of nodes and SAPs that no peer behind this bind has")
    static let nodeRefused = MetricFamily(
        "node_refused_units_total", .counter, ["node", "sap"],
        "STANAG 5066: U_PDUs that came damaged or for another SAP than the one bound")
    static let rcopDrops = MetricFamily(
        "link_rcop_drops_total", .counter, ["peer", "reason"],
        "STANAG 5066: U_PDUs and RCOP units of the peer that were not passed on, by reason; `duplicate` costs nothing")

    static let queued = MetricFamily("outbox_stanzas", .gauge, ["peer", "class"], "Stanzas that wait for the link")
    static let queuedBytes = MetricFamily("outbox_bytes", .gauge, ["peer", "class"], "The same in bytes")
    static let oldest = MetricFamily(
        "outbox_oldest_seconds", .gauge, ["peer", "class"], "Age of the one that has waited longest; 0 when none waits")
    static let inFlight = MetricFamily(
        "outbox_in_flight_stanzas", .gauge, ["peer"],
        "Sent and not acknowledged by the peer; in `xep` over a node, not confirmed by it")
    static let inFlightBytes = MetricFamily("outbox_in_flight_bytes", .gauge, ["peer"], "The same in bytes")
    static let acknowledged = MetricFamily(
        "outbox_acknowledged_total", .counter, ["peer"], "Stanzas that the peer has acknowledged, or a node has confirmed")
    static let linkInDoubt = MetricFamily(
        "link_in_doubt_stanzas", .gauge, ["peer"],
        "Dialect `xep`: given to TCP and not acknowledged by the other end's TCP")
    static let inbox = MetricFamily(
        "inbox_stanzas", .gauge, ["peer"], "From the peer, not confirmed by the local server")
    static let inboxBytes = MetricFamily("inbox_bytes", .gauge, ["peer"], "The same in bytes")
    static let inboxInDoubt = MetricFamily(
        "inbox_in_doubt_stanzas", .gauge, ["peer"],
        "Of these, given to the local server: after a crash they are given again")
    static let setAside = MetricFamily(
        "set_aside_stanzas", .gauge, ["peer"], "From the peer, unreadable and set aside, the newest 64")
    static let requests = MetricFamily(
        "requests_pending", .gauge, ["peer", "asked_by"],
        "IQ requests without an answer, asked by the `local` side or the `remote` one")
    static let rooms = MetricFamily("rooms", .gauge, ["peer", "side"], "Rooms that are known, `local` and `remote`")
    static let superseded = MetricFamily(
        "presence_superseded_total", .counter, ["peer"], "Presence that a newer one replaced before it left")
    static let expired = MetricFamily(
        "presence_expired_total", .counter, ["peer"], "Presence that waited too long and went silently")
    static let bounces = MetricFamily(
        "bounces_total", .counter, ["peer", "condition"], "Errors that the bridge made, by condition")
    static let events = MetricFamily(
        "peer_events_total", .counter, ["peer", "event"],
        "What was counted beside ordinary traffic; the names are those of `skywave status --json` in short")

    /// In the order in which they are exposed and documented.
    package static let all: [MetricFamily] = [
        info, uptime, healthy, journalCommits, journalFailures, journalStalled, localStreams, localConnections,
        localRefused, localStanzas, localBytes, localInDoubt, localRepeats, localQueued,
        localQueuedBytes, localEvents, linkPauses, linkUp, linkSeconds, linkReconnects, linkBytes, linkBlocks, linkStanzas, linkText,
        linkFolded, nodeStrangers, nodeRefused, rcopDrops, queued, queuedBytes, oldest, inFlight,
        inFlightBytes, acknowledged, linkInDoubt, inbox, inboxBytes, inboxInDoubt, setAside, requests, rooms, superseded,
        expired, bounces, events,
    ]

    /// Its line in `docs/metrics.md`.
    package var documentation: String {
        "| `\(name)` | \(kind.rawValue) | \(labels.map { "`\($0)`" }.joined(separator: ", ")) | \(help) |"
    }
}
