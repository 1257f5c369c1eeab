import HFNode
import NIOCore
import SeededRandom
import Testing

struct ARQTests {
    private func frame(_ sequence: UInt8, _ edit: (inout DPDU.DataFrame) -> Void = { _ in }) -> DPDU.DataFrame {
        var frame = DPDU.DataFrame(sequence: sequence, segment: ByteBuffer(integer: sequence))
        frame.isStart = true
        frame.isEnd = true
        frame.isInOrder = true
        edit(&frame)
        return frame
    }

    @Test func `an acknowledgement names the oldest missing frame and what is there behind it`() {
        var receiver = ARQReceiver(maximumUnit: 100)
        #expect(receiver.acknowledgement == .init(lowerEdge: 0))
        for sequence: UInt8 in [0, 2, 3, 10] { #expect(receiver.frameReceived(frame(sequence), isIntact: true) == .accepted) }
        // 1 is missing; 2 and 3 are the lowest bits, 10 is the first bit of the second byte.
        #expect(receiver.acknowledgement == .init(lowerEdge: 1, bitmap: [0b0000_0011, 0b0000_0001]))
        #expect(receiver.frameReceived(frame(1), isIntact: false) == .damaged)
        #expect(receiver.frameReceived(frame(2), isIntact: true) == .duplicate)
        #expect(receiver.nextUnit() == ByteBuffer(integer: UInt8(0)))
        #expect(receiver.nextUnit() == nil, "in order")
        #expect(receiver.frameReceived(frame(1), isIntact: true) == .accepted)
        #expect(receiver.acknowledgement == .init(lowerEdge: 4, bitmap: [0b0010_0000]))
        for sequence: UInt8 in 1...3 { #expect(receiver.nextUnit() == ByteBuffer(integer: sequence)) }
    }

    @Test func `a unit that need not be in order does not wait`() {
        var receiver = ARQReceiver(maximumUnit: 100)
        _ = receiver.frameReceived(frame(5) { $0.isInOrder = false }, isIntact: true)
        #expect(receiver.nextUnit() == ByteBuffer(integer: UInt8(5)))
        for sequence: UInt8 in 0...4 { _ = receiver.frameReceived(frame(sequence), isIntact: true) }
        for sequence: UInt8 in 0...4 { #expect(receiver.nextUnit() == ByteBuffer(integer: sequence)) }
        #expect(receiver.nextUnit() == nil, "once")
        #expect(receiver.acknowledgement.lowerEdge == 6)
    }

    @Test func `a receiver knows frames that cannot be of its window`() {
        func receiver() -> ARQReceiver {
            var receiver = ARQReceiver(maximumUnit: 100)
            for sequence: UInt8 in 0..<20 { _ = receiver.frameReceived(frame(sequence), isIntact: true) }
            _ = receiver.frameReceived(frame(25), isIntact: true)
            return receiver
        }
        // Lower edge 20, newest 25. What is 128 and more ahead or before the window of the newest one.
        var one = receiver()
        #expect(one.frameReceived(frame(147), isIntact: true) == .accepted)
        var two = receiver()
        #expect(two.frameReceived(frame(148), isIntact: true) == .outOfSync)
        // A lower edge beyond ours, an upper edge below our newest.
        var three = receiver()
        #expect(three.frameReceived(frame(21) { $0.isLowerEdge = true }, isIntact: true) == .outOfSync)
        #expect(three.frameReceived(frame(20) { $0.isLowerEdge = true }, isIntact: true) == .accepted)
        var four = receiver()
        #expect(four.frameReceived(frame(22) { $0.isUpperEdge = true }, isIntact: true) == .outOfSync)
        #expect(four.frameReceived(frame(26) { $0.isUpperEdge = true }, isIntact: true) == .accepted)
        // Copies of what was received long ago are acknowledged, not mistaken for new ones.
        #expect(four.frameReceived(frame(3), isIntact: true) == .duplicate)
    }

    @Test func `a sender takes only acknowledgements of its window`() {
        func sender() -> ARQSender {
            var sender = ARQSender(window: 128, segmentBytes: 10)
            sender.append(ARQUnit(id: 1, bytes: ByteBuffer(repeating: 1, count: 35), isInOrder: true))
            sender.append(ARQUnit(id: 2, bytes: ByteBuffer(repeating: 2, count: 5), isInOrder: true))
            sender.numberAll()
            return sender
        }
        var one = sender()
        #expect(one.upperEdge == 4)
        #expect(one.acknowledgementReceived(.init(lowerEdge: 6)) == .outOfSync)
        #expect(one.acknowledgementReceived(.init(lowerEdge: 1, bitmap: [0b1000])) == .outOfSync)
        #expect(one.acknowledgementReceived(.init(lowerEdge: 255)) == .outOfSync)
        // All but the second segment: the second unit is there, but not given up yet.
        #expect(one.acknowledgementReceived(.init(lowerEdge: 1, bitmap: [0b0111])) == .inSync(completed: [], acknowledged: 4))
        #expect(one.acknowledgementReceived(.init(lowerEdge: 2)) == .outOfSync, "3 and 4 were there")
        #expect(one.acknowledgementReceived(.init(lowerEdge: 5)) == .inSync(completed: [1, 2], acknowledged: 1))
        #expect(!one.hasWork)
        #expect(one.lowerEdge == 5)
        var two = sender()
        _ = two.acknowledgementReceived(.init(lowerEdge: 3))
        #expect(two.reset().map(\.id) == [1, 2])
        #expect(two.lowerEdge == 0 && two.upperEdge == 255)
    }

    @Test(arguments: [1, 5, 128]) func `numbers go round, and never more are out than the window holds`(window: Int) {
        var sender = ARQSender(window: window, segmentBytes: 7)
        var receiver = ARQReceiver(maximumUnit: 1000)
        var random = SplitMix64(seed: UInt64(window))
        var sent: [ByteBuffer] = []
        var received: [ByteBuffer] = []
        var completed: [UInt64] = []
        for round in 0..<600 {
            if sender.wantsUnit {
                let unit = ByteBuffer(
                    repeating: UInt8(truncatingIfNeeded: round), count: Int.random(in: 1...60, using: &random))
                sent.append(unit)
                sender.append(ARQUnit(id: UInt64(sent.count), bytes: unit, isInOrder: true))
            }
            sender.burstBegan()
            sender.numberAll()
            let frames = sender.framesOfTest
            #expect(frames.count <= window)
            for frame in frames where Int.random(in: 0..<3, using: &random) > 0 {
                let outcome = receiver.frameReceived(frame, isIntact: Int.random(in: 0..<5, using: &random) > 0)
                #expect(outcome != .outOfSync)
            }
            while let unit = receiver.nextUnit() { received.append(unit) }
            // One acknowledgement in four is lost.
            if Int.random(in: 0..<4, using: &random) == 0 { continue }
            guard case .inSync(let units, _) = sender.acknowledgementReceived(receiver.acknowledgement) else {
                Issue.record("out of sync in round \(round)")
                return
            }
            completed += units
        }
        #expect(received.count > 40)
        #expect(received == Array(sent.prefix(received.count)))
        #expect(completed == (1...UInt64(completed.count)).map { $0 })
        #expect(received.count >= completed.count, "nothing is complete before it is given up")
    }

    @Test func `a unit that is given up in the middle is not delivered and blocks nothing`() {
        var sender = ARQSender(window: 128, segmentBytes: 10)
        var receiver = ARQReceiver(maximumUnit: 1000)
        sender.append(ARQUnit(id: 1, bytes: ByteBuffer(repeating: 1, count: 35), isInOrder: true))
        sender.numberAll()
        for frame in sender.framesOfTest.prefix(2) { _ = receiver.frameReceived(frame, isIntact: true) }
        _ = sender.acknowledgementReceived(receiver.acknowledgement)
        let isDropped = sender.unitDropped(1)
        #expect(isDropped)
        sender.append(ARQUnit(id: 2, bytes: ByteBuffer(repeating: 2, count: 5), isInOrder: true))
        sender.numberAll()
        for frame in sender.framesOfTest {
            // What is dropped is acknowledged even when its segment is damaged.
            #expect(receiver.frameReceived(frame, isIntact: !frame.isDropped) == .accepted)
        }
        #expect(receiver.nextUnit() == ByteBuffer(repeating: 2, count: 5))
        #expect(receiver.nextUnit() == nil)
        #expect(sender.acknowledgementReceived(receiver.acknowledgement) == .inSync(completed: [2], acknowledged: 3))
        #expect(!sender.hasWork)
    }
}

extension ARQSender {
    /// Sends all that the window lets go.
    fileprivate mutating func numberAll() {
        while let place = number() { include(place) }
        for place in unacknowledged { include(place) }
    }

    fileprivate var framesOfTest: [DPDU.DataFrame] { unacknowledged.map { dataFrame(at: $0) } }
}
