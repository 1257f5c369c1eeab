import Blocks
import BridgeCore
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Two peers with journals on a link of a given rate, in virtual time. Commits take none.
final class TimedPair {
    let ship: DurablePeer
    let shore: DurablePeer
    let bitsPerSecond: Int
    private(set) var now = NIODeadline.seconds(0)
    /// What is on the link, by direction, and when the last bit of it arrives.
    private var underWay: [(block: ByteBuffer, arrival: NIODeadline)?] = [nil, nil]
    private(set) var largestBlock = 0
    private(set) var bytes = [0, 0]
    private var isUp = false

    init(bitsPerSecond: Int, _ change: (inout PeerPolicy) -> Void) {
        self.bitsPerSecond = bitsPerSecond
        func policy(_ policy: PeerPolicy) -> PeerPolicy {
            var policy = policy
            policy.isJournaled = true
            policy.hold = .turn
            change(&policy)
            return policy
        }
        ship = DurablePeer(policy(TestPeer.policy()), seed: 1)
        shore = DurablePeer(policy(TestPeer.mirroredPolicy()), seed: 2)
    }

    var sides: [DurablePeer] { [ship, shore] }

    func connect() {
        isUp = true
        for peer in sides { peer.run { $0.linkConnected(now: now) } }
        for peer in sides { peer.run { $0.linkReady(now: now) } }
        settle()
    }

    func cut() {
        isUp = false
        underWay = [nil, nil]
        for peer in sides {
            peer.outgoing = []
            peer.run { $0.linkDisconnected(unsent: [], inDoubt: [], now: now) }
        }
        settle()
    }

    func time(of bytes: Int) -> TimeAmount { .nanoseconds(Int64(bytes) * 8 * 1_000_000_000 / Int64(bitsPerSecond)) }

    /// Commits, confirms, and puts on the link what can go.
    func settle() {
        var moved = true
        while moved {
            moved = false
            for side in 0..<2 {
                let peer = sides[side]
                if peer.take() { moved = true }
                while !peer.pending.isEmpty { peer.commit() }
                if !peer.unconfirmed.isEmpty {
                    peer.confirm(.max)
                    moved = true
                }
                if isUp, underWay[side] == nil, !peer.outgoing.isEmpty {
                    let block = peer.outgoing.removeFirst()
                    largestBlock = max(largestBlock, block.readableBytes)
                    bytes[side] += block.readableBytes
                    underWay[side] = (block, now + time(of: block.readableBytes))
                }
            }
        }
    }

    /// Lets time pass until `end`, or until `isDone`.
    func run(until end: NIODeadline, _ isDone: () -> Bool = { false }) {
        while !isDone() {
            var next = end
            for side in 0..<2 {
                if let arrival = underWay[side]?.arrival { next = min(next, arrival) }
                if let armed = sides[side].armed { next = min(next, armed) }
            }
            now = max(now, next)
            for peer in sides { peer.now = now }
            guard next < end else { return }
            for side in 0..<2 {
                if let armed = sides[side].armed, armed <= now { sides[side].fireTimer() }
                if let (block, arrival) = underWay[side], arrival <= now {
                    underWay[side] = nil
                    sides[1 - side].run { $0.linkBlockReceived(block, now: now) }
                    sides[side].run { $0.linkReady(now: now) }
                }
            }
            settle()
        }
    }

    func wait(_ amount: TimeAmount) { run(until: now + amount) }

    /// Text that does not compress to less than three quarters.
    static func noise(_ count: Int) -> String {
        var random = SeededGenerator(seed: 3)
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-")
        return String((0..<count).map { _ in letters[Int(random.next() % 64)] })
    }
}

@Suite struct SlowLinkTests {
    private static let urgentUser = "captain@ship.example/bridge"

    private func pair(_ change: (inout PeerPolicy) -> Void = { _ in }) -> TimedPair {
        TimedPair(bitsPerSecond: 1_200) {
            $0.blockBytes = 1_024
            change(&$0)
        }
    }

    private func urgentMessage() throws -> Stanza {
        try stanza(
            "<message from='\(Self.urgentUser)' to='\(juliet)' type='chat' id='urgent'><body>Man overboard</body>"
                + "<headers xmlns='http://jabber.org/protocol/shim'><header name='Urgency'>emergency</header></headers></message>")
    }

    private func hasArrived(_ pair: TimedPair, _ id: String) -> Bool { pair.shore.delivered.contains { $0.id == id } }

    @Test(arguments: ["one stanza", "many stanzas"])
    func `an urgent message behind 500 kB of bulk arrives within the time of two blocks`(bulk: String) throws {
        let pair = pair()
        pair.connect()
        let text = TimedPair.noise(500_000)
        let count = bulk == "one stanza" ? 1 : 500
        for index in 0..<count {
            let body = text.dropFirst(index * text.count / count).prefix(text.count / count)
            pair.ship.send(try message(String(body), id: "bulk\(index)"))
        }
        pair.settle()
        pair.wait(.seconds(100))
        let start = pair.now
        pair.ship.send(try urgentMessage())
        pair.settle()
        pair.run(until: start + .hours(1)) { hasArrived(pair, "urgent") }
        let took = Double((pair.now - start).nanoseconds) / 1e9
        let twoBlocks = Double(2 * pair.time(of: 1_024).nanoseconds) / 1e9
        print("urgent message behind 500 kB (\(bulk)) at 1200 bit/s: \(took) s; two blocks take \(twoBlocks) s")
        #expect(hasArrived(pair, "urgent"))
        #expect(took <= twoBlocks)
        #expect(!hasArrived(pair, "bulk\(count - 1)"))
        if count == 1 { #expect(pair.ship.urgentBlocks == 1) }
    }

    @Test func `a stanza of 500 kB gets through a link that breaks every ten minutes, and keeps its pair's order`() throws {
        let pair = pair()
        pair.connect()
        let large = try message(TimedPair.noise(200_000), id: "large")
        let after = try message("after", id: "after")
        pair.ship.send(large)
        pair.ship.send(after)
        pair.settle()
        var cuts = 0
        while !hasArrived(pair, "after"), cuts < 20 {
            pair.run(until: pair.now + .minutes(5)) { hasArrived(pair, "after") }
            guard !hasArrived(pair, "after") else { break }
            cuts += 1
            pair.cut()
            if cuts == 2 { pair.shore.restart() }
            if cuts == 3 { pair.ship.restart() }
            pair.connect()
        }
        #expect(pair.shore.delivered == [large, after])
        #expect(cuts >= 3)
        // Hardly anything went twice.
        #expect(pair.bytes[0] < 200_000)
    }

    @Test func `what is urgent does not wait for a hold`() throws {
        let pair = pair { $0.hold = .bytes(100_000, longest: .minutes(2)) }
        pair.connect()
        pair.wait(.seconds(20))
        pair.ship.send(try message("ordinary", id: "ordinary"))
        pair.settle()
        pair.wait(.seconds(30))
        #expect(pair.shore.delivered.isEmpty)
        pair.ship.send(try urgentMessage())
        pair.settle()
        pair.wait(.seconds(10))
        #expect(hasArrived(pair, "urgent"))
        let late = try message("held for its whole time", from: "x@ship.example/y", id: "late")
        pair.ship.send(late)
        pair.settle()
        pair.wait(.seconds(119))
        #expect(!hasArrived(pair, "late"))
        pair.wait(.seconds(10))
        #expect(hasArrived(pair, "late"))
    }

    @Test func `messages to urgent addresses overtake`() throws {
        let pair = pair {
            $0.classes.urgentAddresses = [JID("watch@shore.example")].compactMap(\.self)
        }
        pair.connect()
        pair.ship.send(try message(TimedPair.noise(50_000), id: "bulk"))
        pair.settle()
        pair.wait(.seconds(30))
        pair.ship.send(try message("x", from: "mate@ship.example/1", to: "watch@shore.example/desk", id: "watch"))
        pair.settle()
        pair.wait(.seconds(14))
        #expect(hasArrived(pair, "watch") && !hasArrived(pair, "bulk"))
    }
}
