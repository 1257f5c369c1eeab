import Blocks
import BridgeCore
import DequeModule
import HFNode
import LinkCatalogue
import NIOCore
import Outbox
import RadioSimulator
import STANAG5066
import TestSupport
import Testing
import XMPP

/// Two peers with journals in dialect `xep`, joined by STANAG 5066 nodes on a modelled radio, in virtual time. Their processes can be
/// killed; what is inside their nodes goes on.
final class StanzaRadioPair {
    private enum Event {
        case up, down, ready, readyForUrgent
        case turn(Bool)
        case ended(StanzaUnits.End)
        case received(Stanza)
    }

    let radio: VirtualSubnetwork
    let peers: [DurablePeer]
    private var units = [StanzaUnits(), StanzaUnits()]
    private var events: [Deque<Event>] = [[], []]
    private var isRunning = [true, true]
    private var nextToken: UInt64 = 1
    private var seed: UInt64
    private let reader = XMPPUnitReader(limits: .link)
    /// Ids of messages that were in doubt when a process was killed, by side.
    private(set) var doubtful: [Set<String>] = [[], []]
    private(set) var confirmed = [0, 0]

    init(_ link: RadioLink, seed: UInt64, _ change: (inout PeerPolicy) -> Void = { _ in }) {
        func policy(_ policy: PeerPolicy) -> PeerPolicy {
            var policy = policy
            policy.isJournaled = true
            policy.hold = .turn
            policy.confirmsStanzas = true
            change(&policy)
            return policy
        }
        self.seed = seed &* 1_000
        peers = [
            DurablePeer(policy(TestPeer.policy()), seed: seed &* 2 &+ 1, dialect: .xep),
            DurablePeer(policy(TestPeer.mirroredPolicy()), seed: seed &* 2 &+ 2, dialect: .xep),
        ]
        radio = RadioPair.subnetwork(
            link, seed: seed, confirmation: .client, application: .xmpp, framing: .stanzas, repetition: .unit)
        for peer in peers { peer.now = radio.now }
        radio.onAction = { [unowned self] side, action in perform(side.rawValue, action) }
        radio.start()
        settle()
    }

    var now: NIODeadline { radio.now }

    /// The local server's stanza. While the bridge is down it waits at the server.
    func send(_ side: Int, _ stanza: Stanza) {
        peers[side].now = now
        peers[side].send(stanza)
        settle()
    }

    // MARK: Processes

    /// `kill -9`: what the process knew is gone, and nothing is committed any more.
    func kill(_ side: Int) throws {
        isRunning[side] = false
        events[side] = []
        units[side] = StanzaUnits()
        for row in peers[side].journal.peer[.outbox] {
            doubtful[side].insert(try StanzaText.read(String(decoding: row.payload, as: UTF8.self)).id ?? "")
        }
        if let connection = radio.clientGone(HFNodeSide.allCases[side]) { radio.endNoticed(connection, byNode: true) }
        settle()
    }

    func start(_ side: Int) {
        isRunning[side] = true
        peers[side].now = now
        peers[side].restart()
        seed += 1
        radio.clientStarted(HFNodeSide.allCases[side], seed: seed)
        settle()
    }

    // MARK: Time

    func run(for duration: TimeAmount, until isDone: () -> Bool = { false }) {
        let end = now + duration
        while !isDone() {
            var next = radio.nextDeadline
            for (side, peer) in peers.enumerated() where isRunning[side] {
                if let armed = peer.armed { next = min(next ?? armed, max(armed, now)) }
            }
            guard let next, next <= end else { break }
            radio.advance(to: next)
            for (side, peer) in peers.enumerated() where isRunning[side] {
                peer.now = now
                if let armed = peer.armed, armed <= now { peer.fireTimer() }
            }
            settle()
        }
        if !isDone() {
            radio.advance(to: end)
            settle()
        }
    }

    private func settle() {
        var isBusy = true
        while isBusy {
            isBusy = false
            for side in 0..<2 where isRunning[side] {
                let peer = peers[side]
                peer.now = now
                commitAll(peer)
                if !peer.unconfirmed.isEmpty {
                    peer.confirm(peer.unconfirmed.count)
                    isBusy = true
                }
                while let event = events[side].popFirst() {
                    give(event, to: side)
                    isBusy = true
                }
                if !peer.urgentBatches.isEmpty {
                    units[side].urgentBatchTaken(peer.urgentBatches.removeFirst())
                    offerNext(side)
                    isBusy = true
                }
                if !peer.batches.isEmpty {
                    #expect(units[side].isBatchOver)
                    units[side].batchTaken(peer.batches.removeFirst())
                    offerNext(side)
                    isBusy = true
                }
            }
            radio.settle()
        }
    }

    private func offerNext(_ side: Int) {
        let classes = peers[side].policy.classes
        guard let (stanza, isUrgent) = units[side].next(token: nextToken, isUrgent: { classes.stanzaClass($0) == .urgent })
        else { return }
        nextToken += 1
        radio.offer(HFNodeSide.allCases[side], stanza.rcopUnit, token: nextToken - 1, service: isUrgent ? 1 : 0)
    }

    private func give(_ event: Event, to side: Int) {
        let peer = peers[side]
        switch event {
        case .up: peer.run { $0.linkConnected(now: peer.now) }
        case .down:
            let unsent = units[side].takeBatch()
            peer.batches = []
            peer.urgentBatches = []
            peer.run { $0.linkDisconnected(unsent: unsent, inDoubt: [], now: peer.now) }
        case .ready: peer.run { $0.linkReady(now: peer.now) }
        case .readyForUrgent: peer.run { $0.linkReadyForUrgent(now: peer.now) }
        case .turn(let isOpen): peer.run { $0.linkTurnChanged(isOpen: isOpen, now: peer.now) }
        case .ended(.confirmed(let stanza)):
            confirmed[side] += 1
            peer.run { $0.linkConfirmed([stanza], now: peer.now) }
        case .ended(.unsent(let stanza)):
            peer.run { $0.linkReturned(unsent: [stanza] + units[side].takeBatch(), inDoubt: [], now: peer.now) }
        case .ended(.inDoubt(let stanza)):
            peer.run { $0.linkReturned(unsent: [], inDoubt: [stanza], now: peer.now) }
        case .received(let stanza): peer.run { $0.linkStanzaReceived(stanza, now: peer.now) }
        }
    }

    private func perform(_ side: Int, _ action: SubnetworkAction) {
        guard isRunning[side] else { return }
        switch action {
        case .up: events[side].append(.up)
        case .down: events[side].append(.down)
        case .ready(_, let isIdle):
            guard units[side].isBatchOver else { return offerNext(side) }
            events[side] += [.turn(isIdle), .ready]
        case .readyForUrgent:
            guard units[side].isUrgentBatchOver else { return offerNext(side) }
            events[side].append(.readyForUrgent)
        case .idle: events[side].append(.turn(true))
        case .finished(_, let token): if let end = units[side].finished(token) { events[side].append(.ended(end)) }
        case .failed(_, let token, let reason):
            if let end = units[side].failed(token, reason) { events[side].append(.ended(end)) }
        case .unit(_, let bytes, _, _):
            do throws(StreamError) {
                for content in try reader.read(bytes) {
                    guard case .stanza(let stanza) = content else { continue }
                    events[side].append(.received(stanza))
                }
            } catch {
                Issue.record("a unit that is no stanza")
            }
        case .dial, .abandonDial, .write, .close, .drop, .arm, .disarm, .stopped, .note, .stranger, .reservationChanged: break
        }
    }

    /// Ids of messages that arrived at a side, in order, with those that came again.
    func received(_ side: Int) -> [String] {
        peers[side].delivered.filter { $0.kind == .message && !$0.isError }.map { $0.id ?? "" }
    }
}
