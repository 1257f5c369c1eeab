import NIOCore
import STANAG5066
import TestSupport
import Testing

/// All that lies between a unit and the socket of a node: RCOP, the bind, and what may be inside the node.
@Suite struct SubnetworkTests {
    private func unit(_ number: UInt64, _ bytes: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(number)
        for index in 0..<max(0, bytes - 8) { buffer.writeInteger(UInt8(truncatingIfNeeded: index &* 31 &+ Int(number))) }
        return buffer
    }

    @Test func `a unit crosses whole, and both sides hear of it`() {
        let pair = SubnetworkPair(seed: 1)
        #expect(pair.sides[0].isUp && pair.sides[0].readies == [true])
        pair.offer(0, unit(7, 1_000), token: 7)
        pair.turns(10)
        #expect(pair.sides[1].receivedBytes == [unit(7, 1_000)])
        #expect(pair.sides[0].finished == [7] && pair.sides[0].failed.isEmpty)
        #expect(pair.sides[0].readies.count == 2)
    }

    @Test func `ready says whether what is sent now leaves at once, and idle when the node has done with the rest`() {
        let pair = SubnetworkPair(seed: 2)
        pair.offer(0, unit(1, 100), token: 1)
        #expect(pair.sides[0].readies == [true, false] && pair.sides[0].idles == 0)
        pair.turns(10)
        #expect(pair.sides[0].finished == [1] && pair.sides[0].idles == 1)
        // The next one leaves at once.
        pair.offer(0, unit(2, 100), token: 2)
        pair.turns(10)
        #expect(pair.sides[0].readies == [true, false, false] && pair.sides[0].idles == 2)
    }

    @Test func `no more is inside the node than is allowed`() {
        let pair = SubnetworkPair(seed: 3, bytesInNode: 2_000)
        var next: UInt64 = 0
        while next < 60 {
            if pair.sides[0].readies.count > next {
                pair.offer(0, unit(next, 900), token: next)
                next += 1
            } else {
                pair.turn()
            }
        }
        pair.turns(60)
        #expect(pair.sides[0].finished.count == 60)
        #expect(pair.sides[0].largestInNode <= 2_000 + Int(SubnetworkPair.mtu))
        #expect(pair.sides[1].receivedBytes == (0..<60).map { unit($0, 900) })
    }

    @Test func `when the owner ends it everything comes back, and it comes up again after a rest`() {
        let pair = SubnetworkPair(seed: 4)
        pair.offer(0, unit(1, 5_000), token: 1)
        pair.fail(0)
        #expect(!pair.sides[0].isUp && pair.sides[0].failed == [1])
        pair.turns(9)
        #expect(!pair.sides[0].isUp)
        pair.turns(2)
        #expect(pair.sides[0].isUp)
        pair.offer(0, unit(2, 50), token: 2)
        pair.turns(20)
        #expect(pair.sides[0].finished == [2])
        #expect(pair.sides[1].receivedBytes == [unit(2, 50)])
    }

    @Test func `a link is reserved where that is wanted, in every bind`() {
        let pair = SubnetworkPair(seed: 8, reservesLink: true)
        #expect(pair.sides[0].reserved == [SubnetworkPair.address(1)] && pair.sides[1].reserved.isEmpty)
        pair.restart(0)
        pair.turns(90)
        #expect(pair.sides[0].reserved.count == 2)
    }

    @Test func `a wait that is over while the node takes nothing is not waited for again and again`() {
        let pair = SubnetworkPair(seed: 9)
        pair.faults.rejected = 1_000
        pair.offer(0, unit(1, 100), token: 1)
        // Rejected, and held off for ten seconds.
        while pair.sides[0].deadline == nil || pair.sides[0].readies.count == 0 { pair.turn() }
        pair.turns(3)
        pair.stopFlow(0)
        pair.turns(30)
        #expect(pair.sides[0].deadline.map { $0 > pair.now } ?? true)
    }

    @Test func `what a strange node sends is nobody's`() {
        let pair = SubnetworkPair(seed: 5)
        pair.deliverFromStranger(to: 0)
        #expect(pair.sides[0].strangers == 1 && pair.sides[0].receivedBytes.isEmpty)
    }

    @Test func `when the node restarts everything unfinished comes back once`() {
        let pair = SubnetworkPair(seed: 6)
        pair.offer(0, unit(1, 2_000), token: 1)
        pair.restart(0)
        #expect(pair.sides[0].failed == [1] && !pair.sides[0].isUp)
        pair.turns(90)
        #expect(pair.sides[0].isUp && pair.sides[0].finished.isEmpty && pair.sides[0].failed == [1])
    }

    /// As an owner of dialect `skywave` does it: what failed is offered again.
    @Test(arguments: Array(1...60) as [UInt64])
    func `whatever nodes do, no unit is lost and only what came back to its owner comes twice`(_ seed: UInt64) {
        let pair = SubnetworkPair(seed: seed)
        var random = SeededGenerator(seed: seed)
        pair.faults.rejected = Int.random(in: 0...80, using: &random)
        pair.faults.rejectedThoughDelivered = Int.random(in: 0...60, using: &random)
        pair.faults.silent = Int.random(in: 0...20, using: &random)
        pair.faults.doubled = Int.random(in: 0...100, using: &random)
        pair.faults.restarts = seed % 3 == 0 ? 10 : 0
        var waiting = (0..<20).map { UInt64($0) }
        var sizes: [UInt64: Int] = [:]
        for number in waiting { sizes[number] = Int.random(in: 8...3_000, using: &random) }
        var underWay: Set<UInt64> = []
        var seenFailures = 0
        var seenReadies = 0
        for _ in 0..<20_000 where pair.sides[0].finished.count < 20 {
            let side = pair.sides[0]
            for token in side.failed[seenFailures...] {
                underWay.remove(token)
                waiting.insert(token, at: 0)
            }
            seenFailures = side.failed.count
            underWay.subtract(side.finished)
            if side.isUp, side.readies.count > seenReadies, !waiting.isEmpty {
                seenReadies = side.readies.count
                let token = waiting.removeFirst()
                underWay.insert(token)
                pair.offer(0, unit(token, sizes[token] ?? 8), token: token, service: Int(token % 2))
            } else {
                pair.turn()
            }
        }
        pair.turns(10)
        let received = Set(pair.sides[1].receivedBytes.map { $0.getInteger(at: $0.readerIndex, as: UInt64.self) ?? .max })
        #expect(pair.sides[0].finished.sorted() == Array(0..<20))
        #expect(received == Set(0..<20))
        for bytes in pair.sides[1].receivedBytes {
            let number = bytes.getInteger(at: bytes.readerIndex, as: UInt64.self) ?? .max
            #expect(bytes == unit(number, sizes[number] ?? 0))
        }
        // A restart, or giving up, gives back what may have arrived, and its owner sends it under another number.
        var seen: Set<UInt64> = []
        for bytes in pair.sides[1].receivedBytes {
            let number = bytes.getInteger(at: bytes.readerIndex, as: UInt64.self) ?? .max
            #expect(seen.insert(number).inserted || pair.sides[0].failed.contains(number), "\(number) came twice")
        }
    }

    @Test func `the window opens to what a turn carries, and closes when it takes longer`() {
        var window = NodeWindow(minimum: 4_000, maximum: 100_000)
        for _ in 0..<200 { window.confirmed(1_000, after: .seconds(60), wasFull: true) }
        #expect(window.bytes == 100_000)
        window.confirmed(1_000, after: .seconds(60), wasFull: false)
        #expect(window.bytes == 100_000)
        for _ in 0..<100 { window.confirmed(1_000, after: .seconds(300), wasFull: true) }
        #expect(window.bytes == 50_000)
        for _ in 0..<20 { window.failed() }
        #expect(window.bytes == 4_000)
    }
}
