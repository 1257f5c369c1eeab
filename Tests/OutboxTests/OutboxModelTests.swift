import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// The outbox against a list that does the same slowly.
@Suite struct OutboxModelTests {
    @Test(arguments: Array(1...12) as [UInt64])
    func `random use keeps every pair's order, loses nothing and counts right`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lifetime = Int64(40)
        let outbox = TestOutbox(
            limits: OutboxLimits(
                maximumBytes: 200_000, maximumStanzas: 900, messageLifetime: .seconds(lifetime),
                requestLifetime: .seconds(lifetime), presenceLifetime: .hours(1_000)))
        var now = 0
        var number = 0
        /// What should be waiting, per pair, in order.
        var expected: [UInt64: [Stanza]] = [:]
        var inFlight: [Stanza] = []
        var accepted = 0
        var left = 0

        for _ in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                for _ in 0..<Int.random(in: 1..<8, using: &random) {
                    number += 1
                    let from = "u\(Int.random(in: 0..<6, using: &random))@a.example/\(Int.random(in: 0..<2, using: &random))"
                    let to = "v\(Int.random(in: 0..<6, using: &random))@b.example"
                    let stanza =
                        switch Int.random(in: 0..<6, using: &random) {
                        case 0: try iq("get", id: "\(number)", from: from, to: to)
                        case 1: try iq("result", id: "\(number)", from: from, to: to)
                        case 2: try presence("\(number)", from: from, to: to, type: "unavailable")
                        default: try message("\(number)", from: from, to: to)
                        }
                    guard outbox.append(stanza, now: .seconds(now)) == .accepted else { continue }
                    accepted += 1
                    expected[stanza.pairHash, default: []].append(stanza)
                }
            case 6, 7:
                let batch = outbox.nextBatch(
                    maximumBytes: Int.random(in: 1..<4_000, using: &random),
                    maximumStanzas: Int.random(in: 1..<30, using: &random), now: .seconds(now))
                left += inFlight.count
                inFlight = batch
                for stanza in batch {
                    #expect(expected[stanza.pairHash]?.first == stanza, "seed \(seed): order of a pair")
                    expected[stanza.pairHash]?.removeFirst()
                }
            case 8:
                let back = Array(inFlight.suffix(Int.random(in: 0...inFlight.count, using: &random)))
                outbox.putBack(back, now: .seconds(now))
                inFlight.removeLast(back.count)
                for stanza in back.reversed() { expected[stanza.pairHash, default: []].insert(stanza, at: 0) }
            default:
                now += Int.random(in: 0..<5, using: &random)
                var returned: [Stanza] = []
                outbox.expire(now: .seconds(now), into: &returned)
                for stanza in returned {
                    #expect(StanzaLifetime(stanza) != .unlimited)
                    let place = expected[stanza.pairHash]?.firstIndex(of: stanza)
                    #expect(place != nil)
                    if let place { expected[stanza.pairHash]?.remove(at: place) }
                }
                left += returned.count
                if let expiry = outbox.nextExpiry { #expect(expiry > .seconds(now)) }
            }
            let waiting = expected.values.reduce(0) { $0 + $1.count }
            #expect(outbox.stanzaCount == waiting)
            #expect(outbox.byteCount == expected.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.byteCount } })
            #expect(accepted == left + inFlight.count + waiting)
        }
        #expect(accepted > 4_000)
    }

    /// Nothing may depend on the order of a hash table, which differs from process to process; inside one process two
    /// dictionaries of different history differ as well.
    @Test func `equal input gives equal batches`() throws {
        func run(warmUp: Int) throws -> [[Stanza]] {
            var random = SeededGenerator(seed: 5)
            let outbox = TestOutbox()
            for number in 0..<warmUp { _ = outbox.append(try message("w", from: "w\(number)@a.example"), now: .seconds(0)) }
            _ = outbox.removeAll()
            for number in 0..<500 {
                let from = "u\(Int.random(in: 0..<100, using: &random))@a.example"
                let stanza =
                    number % 3 == 0 ? try presence("\(number)", from: from) : try message("\(number)", from: from)
                _ = outbox.append(stanza, now: .seconds(number))
            }
            var batches: [[Stanza]] = []
            while !outbox.isEmpty {
                batches.append(outbox.nextBatch(maximumBytes: 1_000, maximumStanzas: 10, now: .seconds(600)))
            }
            return batches
        }
        #expect(try run(warmUp: 0) == run(warmUp: 3_000))
    }

    @Test func `replaced presence leaves nothing behind while a link is down`() throws {
        let outbox = TestOutbox()
        let chat = try message("keeps the queue from being empty", from: "x@a.example")
        _ = outbox.append(chat, now: .seconds(0))
        for number in 0..<20_000 {
            let user = number % 7
            _ = outbox.append(try presence("\(number)", from: "u\(user)@a.example/r"), now: .seconds(number))
        }
        #expect(outbox.stanzaCount <= 1_024 + 8)
        let batch = outbox.nextBatch(maximumBytes: .max, maximumStanzas: .max, now: .seconds(20_002))
        #expect(batch.count == 8)
        #expect(outbox.supersededCount == 19_993)
    }
}
