import Blocks
import BridgeCore
import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import TestSupport
import Testing
import XMPP

/// Two peers with journals, joined by STANAG 5066 nodes on a modelled radio, in virtual time. Commits and local servers take none.
final class RadioPair {
    let radio: VirtualSubnetwork
    let peers: [DurablePeer]
    /// A unit may be offered.
    private var isReady = [false, false]
    private var isUp = [false, false]
    private var nextToken: UInt64 = 1
    /// When each stanza that arrived did so, by side where it did.
    private(set) var arrivals: [[(id: String, at: NIODeadline)]] = [[], []]
    private var counted = [0, 0]
    private var failed = [0, 0]
    private(set) var blocks = [0, 0]
    private(set) var blockBytes = [0, 0]
    private(set) var downs = 0
    /// Blocks since the link came up, and whether they have arrived.
    private var underWay: [[(token: UInt64, hasArrived: Bool)]] = [[], []]

    static func link(_ name: String) throws -> RadioLink { try LinkFiles().link(name) }

    /// Two clients of two nodes, with a normal and an urgent class.
    static func subnetwork(
        _ link: RadioLink, seed: UInt64, confirmation: DeliveryConfirmation, application: RCOPApplication, framing: RCOPFraming,
        repetition: RCOPSenderConfiguration.Repetition
    ) -> VirtualSubnetwork {
        var client = SISClientConfiguration(
            bind: BindRequest(sap: .rcop, rank: 0, service: ServiceType(.arq, confirmation: .node)))
        client.bytesPerDestination = 256 << 10
        client.bytesInNode = 256 << 10
        let services = [(UInt8(0), UInt8(6)), (1, 12)].map { connection, priority in
            UnitService(
                connection: connection, priority: priority, confirmation: confirmation, timeToLive: TimeToLive(.hours(1)))
        }
        return VirtualSubnetwork(
            link: link, seed: seed, client: client,
            peer: SubnetworkPeerConfiguration(
                name: "far", node: RadioNodes.standardAddresses[0], sap: .rcop, application: application, framing: framing,
                repetition: repetition, services: services))
    }

    init(_ link: RadioLink, seed: UInt64, _ change: (inout PeerPolicy) -> Void = { _ in }) {
        func policy(_ policy: PeerPolicy) -> PeerPolicy {
            var policy = policy
            policy.isJournaled = true
            policy.hold = .turn
            policy.linkSession.repeatAfter = .minutes(30)
            policy.linkSession.deadAfter = .hours(1)
            policy.linkSession.acknowledgementDelay = .seconds(20)
            policy.linkSession.windowText = 4 << 20
            policy.linkSession.firstRepeatAfter = .minutes(5)
            policy.linkSession.waitsForTransport = true
            policy.linkSession.level = 9
            policy.isReachedWhenUp = false
            change(&policy)
            return policy
        }
        peers = [
            DurablePeer(policy(TestPeer.policy()), seed: seed &* 2 &+ 1),
            DurablePeer(policy(TestPeer.mirroredPolicy()), seed: seed &* 2 &+ 2),
        ]
        radio = Self.subnetwork(
            link, seed: seed, confirmation: .node, application: .skywave, framing: .delimited, repetition: .segment)
        for peer in peers { peer.now = radio.now }
        radio.onAction = { [unowned self] side, action in perform(side.rawValue, action) }
        radio.start()
        settle()
    }

    /// Text that hardly compresses, another one for each id.
    static func noise(_ id: String, bytes: Int) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-")
        var random = SeededGenerator(seed: id.utf8.reduce(0) { $0 &* 31 &+ UInt64($1) })
        return String((0..<bytes).map { _ in letters[Int.random(in: 0..<64, using: &random)] })
    }

    var now: NIODeadline { radio.now }

    func send(_ side: Int, _ stanza: Stanza) {
        peers[side].now = now
        peers[side].send(stanza)
        settle()
    }

    // MARK: Time

    func run(for duration: TimeAmount, until isDone: () -> Bool = { false }) {
        let end = now + duration
        while !isDone() {
            var next = radio.nextDeadline
            for peer in peers {
                if let armed = peer.armed { next = min(next ?? armed, max(armed, now)) }
            }
            guard let next, next <= end else { break }
            radio.advance(to: next)
            for peer in peers {
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
            for side in 0..<2 {
                let peer = peers[side]
                peer.now = now
                commitAll(peer)
                if !peer.unconfirmed.isEmpty {
                    peer.confirm(peer.unconfirmed.count)
                    isBusy = true
                }
                if isReady[side], !peer.outgoing.isEmpty {
                    isReady[side] = false
                    let block = peer.outgoing.removeFirst()
                    blocks[side] += 1
                    blockBytes[side] += block.readableBytes
                    let token = nextToken
                    nextToken += 1
                    underWay[side].append((token, false))
                    radio.offer(HFNodeSide.allCases[side], block, token: token, service: peer.isLastUrgent ? 1 : 0)
                    isBusy = true
                }
                if peer.failures.count > failed[side] {
                    failed[side] = peer.failures.count
                    radio.peerFailed(HFNodeSide.allCases[side])
                    isBusy = true
                }
                for stanza in peer.delivered[counted[side]...] { arrivals[side].append((stanza.id ?? "", now)) }
                counted[side] = peer.delivered.count
            }
            radio.settle()
        }
    }

    private func perform(_ side: Int, _ action: SubnetworkAction) {
        let peer = peers[side]
        peer.now = now
        switch action {
        case .up:
            isUp[side] = true
            underWay[side] = []
            peer.run { $0.linkConnected(now: peer.now) }
        case .down:
            isUp[side] = false
            isReady[side] = false
            downs += 1
            peer.outgoing = []
            peer.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: peer.now) }
        case .ready(_, let isIdle):
            isReady[side] = true
            peer.run { $0.linkTurnChanged(isOpen: isIdle, now: peer.now) }
            let room = radio.window(HFNodeSide.allCases[side])
            peer.run {
                $0.linkRoomChanged(bytes: room, now: peer.now)
                $0.linkReady(now: peer.now)
            }
        case .readyForUrgent:
            isReady[side] = true
            peer.run { $0.linkReadyForUrgent(now: peer.now) }
        case .idle: peer.run { $0.linkTurnChanged(isOpen: true, now: peer.now) }
        case .unit(_, let bytes, _, _): peer.run { $0.linkBlockReceived(bytes, now: peer.now) }
        case .failed: if isUp[side] { radio.peerFailed(HFNodeSide.allCases[side]) }
        case .dial, .abandonDial, .write, .close, .drop, .arm, .disarm, .stopped, .note, .stranger, .reservationChanged: break
        case .finished(_, let token):
            guard let index = underWay[side].firstIndex(where: { $0.token == token }) else { return }
            underWay[side][index].hasArrived = true
            let arrived = underWay[side].firstIndex { !$0.hasArrived } ?? underWay[side].count
            peer.run { $0.linkBlocksBrought(arrived, now: peer.now) }
        }
    }

    /// Ids of messages that arrived at a side, in order.
    func received(_ side: Int) -> [String] {
        peers[side].delivered.filter { $0.kind == .message && !$0.isError }.map { $0.id ?? "" }
    }
}
