import BridgeCore
import NIOCore
import Outbox
import ServerStreams
import XMPP

/// A site's machine behind a reference, joined to its server as components, with its actions drawn after every input.
final class TestSite {
    private var machine: SiteStateMachine
    /// Everything since the last `take`.
    private var actions: [SiteAction] = []
    var now = NIODeadline.seconds(1)
    /// What the runtime's timer would be set to.
    private(set) var armed: NIODeadline?
    /// The commit that waits for an outcome.
    private(set) var commit: (number: UInt64, batches: [PeerJournalBatch])?
    private(set) var commits = 0

    private struct Secrets: ServerStreamSecrets {
        func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String { "key" }
        func componentHandshake(streamID: String, secret: String) -> String { "handshake" }
        func equalInConstantTime(_ left: String, _ right: String) -> Bool { left == right }
    }

    /// Ship, with the peers `shore.example` (0) and `port.example` (1).
    init(_ change: (inout SiteMachineConfiguration) -> Void = { _ in }) {
        let ship = ["ship.example"].compactMap { Domain($0) }
        let names = ["shore.example", "port.example"]
        var local = LocalSideConfiguration(
            localDomains: ship, remoteDomains: names.compactMap { DomainPattern($0) })
        local.attachment = .components(
            Dictionary(uniqueKeysWithValues: names.compactMap { Domain($0) }.map { ($0, "secret") }))
        let peers = names.map { name in
            var policy = PeerPolicy(
                name: name, localDomains: ship, remoteDomains: [name].compactMap { DomainPattern($0) })
            policy.isJournaled = true
            policy.hold = .turn
            return policy
        }
        var configuration = SiteMachineConfiguration(local: local, peers: peers)
        change(&configuration)
        machine = SiteStateMachine(
            configuration, recovered: configuration.peers.map { _ in RecoveredPeer() }, clock: ServiceClock(now: now),
            secrets: Secrets(), random: 7, now: now)
        run { $0.started(now: now) }
        for (number, name) in names.enumerated() { openStream(ConnectionID(number: UInt64(number + 1)), name) }
        if let commit { committed(commit.number) }
    }

    private func openStream(_ id: ConnectionID, _ name: String) {
        run { $0.dialSucceeded(DialToken(number: id.number - 1), connection: id, now: now) }
        let header = StreamHeader(from: name, id: "x", version: nil, contentNamespace: XMLNamespace.component)
        run { $0.streamOpened(id, header: header, streamID: "y", now: now) }
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.component))
        var bytes = ByteBuffer(string: "<handshake/>")
        reader.read(&bytes)
        guard case .stanza(let handshake)? = reader.nextEvent() else { return }
        run { $0.stanzaReceived(id, handshake, now: now) }
    }

    // MARK: Inputs

    /// A stanza from the local server, for the peer with this number.
    func local(_ stanza: Stanza, peer: Int = 0) {
        run { $0.stanzaReceived(ConnectionID(number: UInt64(peer + 1)), stanza, now: now) }
    }

    func oversize(_ stub: Stanza) {
        run { $0.oversizeReceived(ConnectionID(number: 1), stub, now: now) }
    }

    func writability(_ isWritable: Bool) {
        run { $0.writabilityChanged(ConnectionID(number: 1), isWritable: isWritable, now: now) }
    }

    func linkUp(_ peer: Int = 0) {
        run { $0.linkConnected(peer: peer, now: now) }
        run { $0.linkReady(peer: peer, now: now) }
    }

    func link(_ stanza: Stanza, peer: Int = 0) {
        run { $0.linkStanzaReceived(peer: peer, stanza, now: now) }
    }

    func committed(_ number: UInt64, isSpaceLow: Bool = false) {
        commit = nil
        run { $0.committed(number, isSpaceLow: isSpaceLow, now: now) }
    }

    /// Ends the commit that waits, and those that follow from it.
    func commitAll() {
        while let commit { committed(commit.number) }
    }

    func commitFailed() {
        commit = nil
        run { $0.commitFailed(now: now) }
    }

    func shutdown() { run { $0.shutdownRequested(now: now) } }

    func closeStreams() {
        for number in 1...2 as ClosedRange<UInt64> {
            run { $0.connectionClosed(ConnectionID(number: number), now: now) }
        }
    }

    /// Lets the clock run to a time, with the timer going off on the way.
    func advance(to time: NIODeadline) {
        while let due = armed, due <= time {
            armed = nil
            now = max(now, due)
            run { $0.deadlineReached(now: now) }
        }
        now = time
    }

    // MARK: Outcomes

    var isShutDown: Bool { machine.isShutDown }
    var journal: SiteJournalStatus { machine.journalSnapshot }
    func status(_ peer: Int) -> PeerStatus { machine.peerSnapshot(peer) }

    /// What was to be done since the last call.
    func take() -> [SiteAction] {
        defer { actions = [] }
        return actions
    }

    /// Stanzas written to the local server since the last call of ``take()``.
    var written: [Stanza] {
        actions.compactMap { if case .local(.writeStanza(_, let stanza)) = $0 { stanza } else { nil } }
    }

    /// Ids of stanzas sent over links since the last call of ``take()``, with the peers' numbers.
    var sent: [String] {
        actions.flatMap { action -> [String] in
            guard case .link(let peer, .send(let batch)) = action else { return [] }
            return batch.map { "\(peer):\($0.id ?? "")" }
        }
    }

    var holds: [String] {
        actions.compactMap { if case .holdLink(let peer, let isHeld) = $0 { "\(peer):\(isHeld)" } else { nil } }
    }

    var notes: [SiteNote] {
        actions.compactMap { if case .note(let note) = $0 { note } else { nil } }
    }

    private func run(_ input: (inout SiteStateMachine) -> Void) {
        input(&machine)
        draw()
        machine.turnEnded(now: now)
        draw()
    }

    private func draw() {
        while let action = machine.nextAction() {
            actions.append(action)
            switch action {
            case .arm(let deadline): armed = deadline
            case .disarm: armed = nil
            case .commit(let number, let batches):
                precondition(commit == nil, "two commits at a time")
                commit = (number, batches)
                commits += 1
            case .local, .link, .holdLink, .note: break
            }
        }
    }
}
