import Blocks
import BridgeCore
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Two peers with journals on a link that is cut and processes that end, all from a seed.
final class PeerPair {
    let ship: DurablePeer
    let shore: DurablePeer
    var random: SeededGenerator
    private(set) var isUp = false
    /// Blocks under way, by direction.
    private var transit: [[ByteBuffer]] = [[], []]
    private var isReady = [false, false]
    private(set) var cuts = 0
    /// Bodies of the messages that local users sent, by pair, in order.
    private(set) var expected: [[String: [String]]] = [[:], [:]]
    private(set) var requests: [[String]] = [[], []]
    private var number = 0

    init(seed: UInt64, _ change: (inout PeerPolicy) -> Void = { _ in }) {
        random = SeededGenerator(seed: seed)
        func policy(_ policy: PeerPolicy) -> PeerPolicy {
            var policy = policy
            policy.isJournaled = true
            policy.hold = .turn
            policy.blockBytes = 400
            policy.batchStanzas = 5
            policy.linkSession.acknowledgementDelay = .milliseconds(50)
            change(&policy)
            return policy
        }
        ship = DurablePeer(policy(TestPeer.policy()), seed: seed &* 2 &+ 1)
        shore = DurablePeer(policy(TestPeer.mirroredPolicy()), seed: seed &* 2 &+ 2)
    }

    var sides: [DurablePeer] { [ship, shore] }

    // MARK: Traffic

    func address(_ side: Int, _ user: Int) -> String { "u\(user)@\(side == 0 ? "ship" : "shore").example/r" }

    /// A local user of a side writes to one of the other.
    func sendSomething(_ side: Int, largest: Int = 3_000) throws {
        number += 1
        let from = address(side, Int.random(in: 0..<3, using: &random))
        let to = address(1 - side, Int.random(in: 0..<3, using: &random))
        let peer = sides[side]
        switch Int.random(in: 0..<10, using: &random) {
        case 0: peer.send(try presence(from: from, to: to, payload: "<status>\(number)</status>"))
        case 1:
            requests[side].append("\(number)")
            peer.send(try iq("get", id: "\(number)", from: from, to: to))
        default:
            let length = Int.random(in: 0..<8, using: &random) == 0 ? Int.random(in: 0..<largest, using: &random) : 20
            let filler = String((0..<length).map { _ in "abcdefghijklmnop".randomElement(using: &random) ?? "a" })
            let urgent =
                Int.random(in: 0..<6, using: &random) == 0
                ? "<headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>high</header></headers>" : ""
            expected[side]["\(from) \(to)", default: []].append("\(number)")
            peer.send(
                try stanza(
                    "<message from='\(from)' to='\(to)' type='chat' id='\(number)'><body>\(filler)</body>\(urgent)</message>"))
        }
    }

    /// A local user writes the same to all of the other side, with everything that goes with one turn of its server.
    func broadcast(_ side: Int) throws {
        number += 1
        let from = address(side, Int.random(in: 0..<3, using: &random))
        for user in 0..<3 where Int.random(in: 0..<5, using: &random) > 0 {
            let to = address(1 - side, user)
            expected[side]["\(from) \(to)", default: []].append("\(number)")
            sides[side].send(try stanza("<message from='\(from)' to='\(to)' id='\(number)'><body>to all</body></message>"))
        }
    }

    /// Of both sides, since they started last.
    var foldedStanzas: UInt64 { sides.reduce(0) { $0 + $1.status.traffic.folded.total } }

    // MARK: The link

    func connect() {
        guard !isUp else { return }
        isUp = true
        isReady = [true, true]
        for peer in sides { peer.run { $0.linkConnected(now: peer.now) } }
        for peer in sides { peer.run { $0.linkReady(now: peer.now) } }
    }

    func cut() {
        guard isUp else { return }
        isUp = false
        cuts += 1
        transit = [[], []]
        for peer in sides {
            peer.outgoing = []
            peer.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: peer.now) }
        }
    }

    func restart(_ side: Int) {
        let wasUp = isUp
        if wasUp {
            isUp = false
            transit = [[], []]
            let other = sides[1 - side]
            other.outgoing = []
            other.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: other.now) }
        }
        sides[side].restart()
    }

    /// Moves a block from a machine onto the link; the link is ready again at once or when it arrives.
    @discardableResult
    func transmit(_ side: Int) -> Bool {
        let peer = sides[side]
        guard isUp, !peer.outgoing.isEmpty else { return false }
        #expect(peer.outgoing.count == 1, "one block at a time")
        transit[side].append(peer.outgoing.removeFirst())
        peer.run { $0.linkReady(now: peer.now) }
        return true
    }

    @discardableResult
    func arrive(_ side: Int) -> Bool {
        guard isUp, !transit[side].isEmpty, !sides[1 - side].isReadingStopped else { return false }
        let block = transit[side].removeFirst()
        let peer = sides[1 - side]
        peer.run { $0.linkBlockReceived(block, now: peer.now) }
        return true
    }

    // MARK: Running

    /// Lets time pass for both.
    func advance(_ amount: TimeAmount) {
        for peer in sides { peer.now = peer.now + amount }
        for peer in sides {
            if let armed = peer.armed, armed <= peer.now { peer.fireTimer() }
        }
    }

    /// Everything but what the local servers do and what takes time.
    func exchange() {
        for _ in 0..<20 {
            for side in 0..<2 {
                sides[side].take()
                sides[side].commit()
                transmit(side)
                arrive(side)
            }
        }
    }

    /// Everything that can happen happens, until nothing more does.
    func quiesce() {
        var idle = 0
        for _ in 0..<200_000 {
            var moved = false
            for side in 0..<2 {
                let peer = sides[side]
                if peer.take() { moved = true }
                while !peer.pending.isEmpty {
                    peer.commit()
                    moved = true
                }
                if transmit(side) { moved = true }
                if arrive(side) { moved = true }
                if !peer.unconfirmed.isEmpty {
                    peer.confirm(peer.unconfirmed.count)
                    moved = true
                }
            }
            idle = moved ? 0 : idle + 1
            if idle > 40 { return }
            if !moved { advance(.milliseconds(60)) }
        }
        Issue.record("the pair does not come to rest")
    }

    /// One thing happens.
    func step(restarts: Bool) throws {
        let side = Int.random(in: 0..<2, using: &random)
        let peer = sides[side]
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<22: try sendSomething(side)
        case 22..<36: peer.take()
        case 36..<52: peer.commit()
        case 52..<66: transmit(side)
        case 66..<80: arrive(side)
        case 80..<90: peer.confirm(Int.random(in: 1..<4, using: &random))
        case 90..<94: advance(.milliseconds(Int64.random(in: 1..<200, using: &random)))
        case 94..<97: connect()
        case 97: cut()
        default: if restarts { restart(side) }
        }
    }

    // MARK: The oracle

    /// Every message arrived exactly once and in order per pair; what was with the local server when a bridge ended may have
    /// come twice, and is counted.
    func check(_ context: String) -> Int {
        var doubtful = 0
        for side in 0..<2 {
            var arrived: [String: [String]] = [:]
            let receiver = sides[1 - side]
            for stanza in receiver.delivered where stanza.kind == .message && !stanza.isError {
                let pair = "\(stanza.from?.description ?? "") \(stanza.to?.description ?? "")"
                let id = stanza.id ?? ""
                if arrived[pair]?.contains(id) == true {
                    let wasInDoubt = receiver.inDoubt.contains(stanza.text)
                    #expect(wasInDoubt, "\(context): message \(id) twice")
                    doubtful += 1
                } else {
                    arrived[pair, default: []].append(id)
                }
            }
            for (pair, numbers) in expected[side] {
                #expect(arrived[pair] ?? [] == numbers, "\(context): side \(side), \(pair)")
            }
            let status = sides[side].status
            #expect(status.queuedStanzas == 0 && status.inFlightStanzas == 0 && status.inboxStanzas == 0, "\(context)")
            let bounced = sides[side].delivered.filter { $0.isError && $0.kind == .message }
            #expect(bounced.isEmpty, "\(context): bounced")
            #expect(sides[side].failures.isEmpty, "\(context): \(sides[side].failures)")
            for table in [JournalTable.outbox, .normalNumbers, .expressNumbers, .inbox, .fragments] {
                #expect(sides[side].journal.peer[table].isEmpty, "\(context): rows left in \(table)")
            }
            #expect(sides[side].unacknowledged.isEmpty, "\(context): not acknowledged to the server")
        }
        return doubtful
    }
}
