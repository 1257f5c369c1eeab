import NIOCore
import NIOEmbedded
import Testing
import XMPP

@testable import Transports

@Suite struct MemoryLinkTransportTests {
    private final class Recorder {
        var events: [LinkEvent] = []
        var received: [String] {
            events.compactMap { event in
                if case .received(let stanza) = event { stanza.id } else { nil }
            }
        }
    }

    private struct World {
        let loop = EmbeddedEventLoop()
        let left: MemoryLinkTransport
        let right: MemoryLinkTransport
        let seenLeft = Recorder()
        let seenRight = Recorder()

        init() {
            (left, right) = MemoryLinkTransport.pair(on: loop)
            left.onEvent = { [seenLeft] in seenLeft.events.append($0) }
            right.onEvent = { [seenRight] in seenRight.events.append($0) }
            left.start()
            right.start()
            left.connect()
            loop.run()
        }
    }

    @Test func `batches cross after the delay, one at a time`() {
        let world = World()
        world.left.faults.delay = .seconds(2)
        world.left.faults.sendingTime = .seconds(3)
        world.left.send([TestLink.message("a"), TestLink.message("b")])
        world.left.send([TestLink.message("c")])
        world.loop.advanceTime(by: .seconds(2))
        #expect(
            world.seenLeft.events.last
                == .disconnected(
                    unsent: [TestLink.message("c")], inDoubt: [], reason: "the link could not take the batch"))
        world.loop.advanceTime(by: .seconds(1))
        #expect(world.seenLeft.events.last == .ready)
        #expect(world.seenRight.received == [])
        world.loop.advanceTime(by: .seconds(2))
        #expect(world.seenRight.received == ["a", "b"])
        #expect(world.seenRight.events.last == .batchEnd)
    }

    @Test func `a cut puts the batch in flight in doubt; part of it may arrive`() {
        let world = World()
        world.left.faults.sendingTime = .seconds(3)
        world.left.faults.stanzasThatArriveWhenCut = 1
        world.left.send([TestLink.message("a"), TestLink.message("b")])
        world.loop.advanceTime(by: .seconds(1))
        world.left.cut()
        world.loop.advanceTime(by: .seconds(10))
        #expect(world.seenRight.received == ["a"])
        #expect(
            world.seenLeft.events.last
                == .disconnected(
                    unsent: [], inDoubt: [TestLink.message("a"), TestLink.message("b")], reason: "cut"))
        world.right.connect()
        world.loop.run()
        #expect(world.seenLeft.events.last == .ready)
        #expect(world.left.status.reconnects == 1)
    }

    @Test func `paused reading holds back what arrives`() {
        let world = World()
        world.right.pauseReading()
        world.left.send([TestLink.message("a")])
        world.loop.run()
        #expect(world.seenRight.received == [])
        world.right.resumeReading()
        world.loop.run()
        #expect(world.seenRight.received == ["a"])
    }

    private func numbers(_ recorder: Recorder) -> [Int] {
        recorder.events.compactMap { event in
            guard case .block(let block) = event else { return nil }
            return block.getInteger(at: block.readerIndex + 3, as: UInt8.self).map(Int.init)
        }
    }

    /// Sends block after block as the link takes them.
    private func sendBlocks(_ count: Int, _ world: World) {
        var next = 0
        world.left.onEvent = { [left = world.left, seen = world.seenLeft] event in
            seen.events.append(event)
            guard event == .ready, next < count else { return }
            left.send(block: TestBlocks.block(next), isUrgent: false)
            next += 1
        }
        left(world, TestBlocks.block(next))
        next += 1
        world.loop.advanceTime(by: .hours(1))
    }

    private func left(_ world: World, _ block: ByteBuffer) { world.left.send(block: block, isUrgent: false) }

    @Test func `blocks take the time of their size, and one is on the wire at a time`() {
        let world = World()
        world.left.faults.bitsPerSecond = 1_200
        world.left.faults.delay = .seconds(1)
        let block = TestBlocks.block(1, bytes: 145)
        #expect(block.readableBytes == 151)
        left(world, block)
        left(world, TestBlocks.block(2))
        let ready = world.seenLeft.events.count
        world.loop.advanceTime(by: .milliseconds(1_006))
        #expect(world.seenLeft.events.count == ready)
        world.loop.advanceTime(by: .milliseconds(1))
        #expect(world.seenLeft.events.last == .ready)
        world.loop.advanceTime(by: .seconds(2))
        #expect(world.seenRight.events.suffix(2) == [.block(block), .batchEnd])
        #expect(numbers(world.seenRight) == [1], "what cannot be taken vanishes; its owner has it")
    }

    @Test func `blocks are lost, doubled and overtaken by chance, the same with the same seed`() {
        func run(_ change: (inout MemoryLinkTransport.Faults) -> Void) -> [Int] {
            let world = World()
            world.left.faults.sendingTime = .milliseconds(300)
            change(&world.left.faults)
            sendBlocks(200, world)
            return numbers(world.seenRight)
        }
        #expect(run { _ in } == Array(0..<200))
        let lossy = run { $0.blockLoss = 200 }
        #expect((130..<180).contains(lossy.count) && lossy == lossy.sorted())
        #expect(run { $0.blockLoss = 200 } == lossy)
        let doubled = run { $0.blockDuplication = 100 }
        #expect(doubled.count > 205 && Set(doubled) == Set(0..<200))
        let mixed = run { $0.blockOvertaking = 100 }
        #expect(mixed != mixed.sorted() && mixed.sorted() == Array(0..<200))
    }

    @Test func `a cut loses what is on its way, unless the test says otherwise`() {
        for outlives in [false, true] {
            let world = World()
            world.left.faults.sendingTime = .seconds(1)
            world.left.faults.delay = .seconds(10)
            world.left.faults.blocksOutliveCut = outlives
            world.left.faults.blockArrivesWhenCut = outlives
            left(world, TestBlocks.block(1))
            world.loop.advanceTime(by: .seconds(2))
            left(world, TestBlocks.block(2))
            world.left.cut()
            world.loop.run()
            world.right.connect()
            world.loop.advanceTime(by: .seconds(60))
            #expect(numbers(world.seenRight) == (outlives ? [2, 1] : []))
            let lastBefore = world.seenRight.events.firstIndex { event in
                if case .disconnected = event { true } else { false }
            }
            if outlives { #expect(lastBefore.map { world.seenRight.events[$0 - 1] } == .batchEnd) }
        }
    }
}
