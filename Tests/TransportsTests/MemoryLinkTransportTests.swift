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
}
