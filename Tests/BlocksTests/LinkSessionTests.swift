import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// Sends from one end to the other over a link that fails, and looks that everything arrives once and in order.
private struct Exchange {
    var random: SeededGenerator
    let isReliable: Bool
    let left: SessionEnd
    let right: SessionEnd
    /// Blocks under way, by direction, oldest first.
    var wire: [[ByteBuffer]] = [[], []]
    var isUp = false
    var sent: [[Lane: [String]]] = [[:], [:]]
    var counter = 0

    init(seed: UInt64, isReliable: Bool) {
        random = SeededGenerator(seed: seed)
        self.isReliable = isReliable
        var configuration = LinkSessionConfiguration()
        configuration.windowBlocks = Int.random(in: 2...20, using: &random)
        configuration.windowText = Int.random(in: 500...20_000, using: &random)
        configuration.repeatAfter = isReliable ? nil : .seconds(2)
        left = SessionEnd(configuration, seed: random.next())
        right = SessionEnd(configuration, seed: random.next())
    }

    var ends: [SessionEnd] { [left, right] }

    mutating func connect() {
        guard !isUp else { return }
        isUp = true
        for end in ends {
            end.session.connected(now: end.clock)
            end.collect()
            end.commit()
        }
    }

    mutating func cut() {
        guard isUp else { return }
        isUp = false
        for end in ends {
            end.session.disconnected(now: end.clock)
            end.collect()
        }
        // A reliable connection dies with what was in it; datagrams may still come out of the air later.
        if isReliable { wire = [[], []] }
    }

    mutating func enqueue() throws {
        let side = Int.random(in: 0...1, using: &random)
        let lane: Lane = Int.random(in: 0..<5, using: &random) == 0 ? .express : .normal
        counter += 1
        let large = lane == .normal && Int.random(in: 0..<12, using: &random) == 0
        let body = large
            ? (0..<Int.random(in: 500...2_000, using: &random)).map { _ in String(random.next() % 36, radix: 36) }.joined()
            : "hello \(random.next() % 50)"
        let message = try stanza(
            "<message from='u@alpha.example' to='v@bravo.example' id='m\(counter)'><body>\(body)</body></message>")
        ends[side].queue[lane, default: []].append(message)
        sent[side][lane, default: []].append("m\(counter)")
    }

    mutating func step(faults: Bool) throws {
        for end in ends { end.clock = end.clock + .milliseconds(Int64.random(in: 1...400, using: &random)) }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<3 where faults: cut()
        case 3..<5 where faults:
            // A process ends between two commits.
            let side = Int.random(in: 0...1, using: &random)
            if isReliable { cut() }
            ends[side].restart()
            if isUp {
                ends[side].session.connected(now: ends[side].clock)
                ends[side].collect()
                ends[side].commit()
            }
        case 5..<40:
            if isUp {
                let side = Int.random(in: 0...1, using: &random)
                if let block = ends[side].nextBlock(
                    maximumStanzas: Int.random(in: 1...8, using: &random), partBytes: 700)
                {
                    wire[side].append(block)
                }
            } else {
                connect()
            }
        case 40..<80:
            let side = Int.random(in: 0...1, using: &random)
            guard isUp, !wire[side].isEmpty else { return }
            var index = 0
            if !isReliable, faults {
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    wire[side].removeFirst()
                    return
                case 1: wire[side].append(wire[side][0])
                case 2: index = Int.random(in: 0..<wire[side].count, using: &random)
                default: break
                }
            }
            let block = wire[side].remove(at: index)
            let receiver = ends[1 - side]
            receiver.session.blockReceived(block, now: receiver.clock)
            receiver.collect()
            // What is not committed is lost with the process.
            if Int.random(in: 0..<4, using: &random) != 0 || !faults { receiver.commit() }
        default:
            for end in ends where Int.random(in: 0...1, using: &random) == 0 { end.commit() }
        }
    }
}

@Suite("Link session")
struct LinkSessionTests {
    @Test("Everything arrives once and in order over links that break, lose, repeat and overtake, and through restarts")
    func exchange() throws {
        for isReliable in [true, false] {
            for seed in UInt64(1)...150 {
                var exchange = Exchange(seed: seed, isReliable: isReliable)
                for _ in 0..<60 {
                    try exchange.enqueue()
                    for _ in 0..<12 { try exchange.step(faults: true) }
                }
                var rounds = 0
                while !(exchange.left.isIdle && exchange.right.isIdle), rounds < 40_000 {
                    try exchange.step(faults: false)
                    rounds += 1
                }
                for (side, receiver) in [(0, exchange.right), (1, exchange.left)] {
                    for lane in Lane.allCases {
                        let expected = exchange.sent[side][lane] ?? []
                        let wanted = Set(expected)
                        let got = receiver.delivered.filter { wanted.contains($0) }
                        #expect(got == expected, "seed \(seed), reliable \(isReliable), side \(side), lane \(lane)")
                    }
                }
                #expect(exchange.left.failures.isEmpty && exchange.right.failures.isEmpty, "seed \(seed) \(isReliable)")
                if Test.current != nil, got(exchange) { return }
            }
        }
    }

    private func got(_ exchange: Exchange) -> Bool { !exchange.left.failures.isEmpty || !exchange.right.failures.isEmpty }
}
