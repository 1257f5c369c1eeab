import Blocks
import NIOCore
import Outbox
import TestSupport
import XMPP

/// Sends from one end to the other over a link that fails, and looks that everything arrives once and in order.
struct Exchange {
    var random: SeededGenerator
    let isReliable: Bool
    let left: SessionEnd
    let right: SessionEnd
    /// Blocks under way, by direction, oldest first.
    var wire: [[(block: ByteBuffer, session: UInt64)]] = [[], []]
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
        // Most ids follow the last one of their half, as long as nothing is lost or cut again.
        let id = SerialIDTests.token(counter % 3 == 0 ? 0x8000_0000 + UInt32(counter / 3) : UInt32(counter - counter / 3))
        let message = try stanza(
            "<message from='u@alpha.example' to='v@bravo.example' id='\(id)'><body>\(body)</body></message>")
        ends[side].queue[lane, default: []].append(message)
        sent[side][lane, default: []].append(id)
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
                    wire[side].append((block, ends[side].session.sessionNumber))
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
            let (block, session) = wire[side].remove(at: index)
            let receiver = ends[1 - side]
            // Nothing stays in the air for longer than the four bits of a session can tell.
            guard session + 12 > ends[side].session.sessionNumber else { return }
            receiver.session.blockReceived(block, now: receiver.clock)
            receiver.collect()
            // What is not committed is lost with the process.
            if Int.random(in: 0..<4, using: &random) != 0 || !faults { receiver.commit() }
        default:
            for end in ends where Int.random(in: 0...1, using: &random) == 0 { end.commit() }
        }
    }
}
