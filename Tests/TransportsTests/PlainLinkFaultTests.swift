import Blocks
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Links without TLS, on real sockets, when something breaks or somebody misbehaves.
@Suite(.timeLimit(.minutes(5))) struct PlainLinkFaultTests: PlainLinkSuite {
    let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let addresses = TestAddresses()

    @Test func `a newer connection of the same peer replaces the older one, which is told conflict`() async throws {
        let (link, listener, remote) = try await acceptor()
        let older = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await older.send(TestLink.message("old").text)
        try await link.waitUntilReceived(["old"])
        let newer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await older.waitUntilClosed()
        #expect(older.text.hasPrefix("<stream:error><conflict "))
        #expect(older.text.hasSuffix("</stream:error></stream:stream>"))
        try await newer.send(TestLink.message("new").text)
        try await link.waitUntilReceived(["old", "new"])
        try await link.send(["reply"])
        try await newer.waitFor("id='reply'")
        let status = try await link.status()
        #expect(status.reconnects == 1)
        #expect(link.disconnects.map(\.reason) == [LinkEnd.replaced.sentence])
        try await newer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `a half-open connection is given up after dead-after, and its batch is in doubt`() async throws {
        let (link, listener, remote) = try await acceptor {
            $0.deadAfter = .milliseconds(600)
            $0.unsentBytes = 4_096
        }
        // A machine that has gone takes nothing any more; on one machine a full receive window comes closest.
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await link.waitUntilConnected()
        try await link.send(["big"], bodyBytes: 12_000_000)
        try await eventually(within: .seconds(30)) { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.inDoubt == ["big"])
        #expect(link.disconnects.first?.reason == LinkEnd.silent.sentence)
        let status = try await link.status()
        #expect(status.lastError == LinkEnd.silent.sentence)
        try await peer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `what the peer's TCP had not acknowledged is in doubt, and everything else is there`() async throws {
        let (link, listener, remote) = try await acceptor { $0.deadAfter = .seconds(1) }
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await link.waitUntilConnected()
        let sent = ids(2_000)
        for id in sent { try await link.send([id], bodyBytes: 10_000) }
        try await eventually(within: .seconds(30)) { link.disconnects.count == 1 }
        let doubts = link.disconnects.first?.inDoubt ?? []
        #expect(doubts.count >= 2, "the batch in flight, and what lay in the kernel")
        let written = Array(sent.prefix { $0 != doubts.first })
        #expect(doubts == Array(sent.dropFirst(written.count).prefix(doubts.count)), "in order, without a gap")
        try await peer.channel.setOption(.autoRead, value: true).get()
        try await peer.waitUntilClosed()
        let text = peer.text
        #expect(written.count > 10)
        #expect(written.allSatisfy { text.contains(" id='\($0)'") }, "what is not in doubt has arrived")
        #expect(text.components(separatedBy: "</message>").count - 1 >= written.count)
        try await link.close()
        try await listener.close()
    }

    @Test func `a batch that leaves late on a replaced connection says nothing of the one in flight`() async throws {
        let (link, listener, remote) = try await acceptor { $0.policy.closeTimeout = .seconds(30) }
        let older = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await link.waitUntilConnected()
        try await link.send(["late"], bodyBytes: 12_000_000)
        try await older.send("</stream:stream>")
        try await eventually { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.inDoubt == ["late"])
        let newer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await eventually { link.connects == 2 }
        try await link.send(["next"], bodyBytes: 12_000_000)
        try await eventually { try await link.status().batchesSent == 2 }
        try await older.channel.setOption(.autoRead, value: true).get()
        try await eventually(within: .seconds(20)) { older.byteCount > 12_000_000 }
        try await newer.close()
        try await eventually { link.disconnects.count == 2 }
        #expect(link.disconnects.last?.inDoubt == ["next"], "forgotten: lost without a word")
        try await older.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `the peer restarts: dialled again with back-off, the rest arrives in order`() async throws {
        let server = NIOLoopBoundBox.makeBoxSendingValue([RawPeer](), eventLoop: loop)
        let loop = loop
        let first = try await RawPeer.listen(addresses[1]) { peer in
            loop.execute { server.value.append(peer) }
        }
        let port = first.localAddress?.port ?? 0
        var settings = configuration(
            "shore", remote: .init(host: addresses[1], port: port), from: addresses[2], sources: .only(addresses[1]))
        // However long the steps of this test take.
        settings.policy.refusalWindow = .minutes(10)
        let link = try await TestLink.make(settings, on: loop)
        try await link.start()
        try await link.send(["one"])
        func peers() async throws -> [RawPeer] { try await loop.submit { server.value }.get() }
        try await eventually { try await peers().first?.text.contains("id='one'") == true }
        // Killed: the listener and the connection go without a word.
        try await first.close()
        for peer in try await peers() { try await peer.close() }
        try await eventually { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.reason == LinkEnd.cut.sentence)
        #expect(link.disconnects.first?.inDoubt == ["one"], "nothing ever came from this peer: it may have refused us")
        try await eventually { try await link.status().lastError?.contains("Nothing listens at") == true }
        try await link.send(["two"])
        let second = try await RawPeer.listen(addresses[1], port: port) { peer in
            loop.execute { server.value.append(peer) }
        }
        try await eventually { try await peers().last?.text.contains("id='two'") == true }
        let status = try await link.status()
        #expect(status.reconnects == 1)
        for peer in try await peers() { try await peer.close() }
        try await link.close()
        try await second.close()
    }

    @Test(arguments: ["hello world", "<message", "\u{0}\u{1}\u{2}", "<!DOCTYPE x>", "<a><b></a>", "</stream:features>"])
    func `garbage is answered with a stream error, and the next connection is good`(garbage: String)
        async throws
    {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(garbage)
        if garbage == "<message" {
            // Not wrong yet, and nobody waits for it for ever: the next connection ends it.
            try await peer.send(" <")
        }
        try await peer.waitFor("</stream:stream>")
        #expect(peer.text.hasPrefix("<stream:error>"))
        try await peer.waitUntilClosed()
        #expect(link.received.isEmpty)
        let good = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await good.send(TestLink.message("good").text)
        try await link.waitUntilReceived(["good"])
        try await good.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `a stream error from the peer ends the connection in good order and is shown`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        try await peer.send(StreamError(.systemShutdown).element())
        try await peer.waitFor("</stream:stream>")
        #expect(peer.text == "</stream:stream>")
        try? await peer.send("</stream:stream>")
        try await peer.close()
        try await eventually { try await link.status().lastError?.contains("system-shutdown") == true }
        try await link.close()
        try await listener.close()
    }

    @Test func `peers d8: a bomb on a compressed link ends in a stream error`() async throws {
        let (link, listener, remote) = try await acceptor { $0.compression = .deflate(level: 6) }
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        try await peer.send(Bomb.deflatedSpaces(megabytes: 1_000))
        try await peer.waitUntilClosed()
        #expect(!peer.text.isEmpty, "the error comes compressed")
        let status = try await link.status()
        #expect(status.lastError?.contains("broke a rule") == true)
        #expect(link.received.isEmpty)
        try await link.close()
        try await listener.close()
    }

    @Test func `reading can be paused, and nothing is lost even when the peer goes meanwhile`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(TestLink.message("before").text)
        try await link.waitUntilReceived(["before"])
        try await link.run { $0.pauseReading() }
        let expected = ids(500)
        for id in expected { peer.channel.write(ByteBuffer(string: TestLink.message(id).text), promise: nil) }
        try await peer.send(" ")
        try await Task.sleep(for: .milliseconds(100))
        #expect(link.received == ["before"])
        try await peer.close()
        try await Task.sleep(for: .milliseconds(100))
        try await link.run { $0.resumeReading() }
        try await link.waitUntilReceived(["before"] + expected)
        #expect(link.received == ["before"] + expected)
        try await link.close()
        try await listener.close()
    }

    @Test func `what a replaced connection brought comes before what the newer one brings`() async throws {
        let (link, listener, remote) = try await acceptor()
        let older = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        try await link.run { $0.pauseReading() }
        let (first, second) = (ids(400, "a"), ids(400, "b"))
        for id in first {
            older.channel.write(ByteBuffer(string: TestLink.message(id, bodyBytes: 500).text), promise: nil)
        }
        try await older.send(" ")
        let newer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        for id in second {
            newer.channel.write(ByteBuffer(string: TestLink.message(id, bodyBytes: 500).text), promise: nil)
        }
        try await newer.send(" ")
        try await older.waitUntilClosed()
        #expect(link.received.isEmpty)
        try await link.run { $0.resumeReading() }
        try await link.waitUntilReceived(first + second)
        #expect(link.received == first + second)
        try await newer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `closing reports what became of everything before it is done`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2], reads: false)
        try await link.waitUntilConnected()
        try await link.send(["big"], bodyBytes: 12_000_000)
        try await link.close()
        #expect(link.disconnects.map(\.inDoubt) == [["big"]])
        let state = try await link.status().state
        #expect(state == .stopped)
        try await peer.close()
        try await listener.close()
    }

    @Test func `a stanza over the limit is reported and the link lives on`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await peer.send(TestLink.message("huge", bodyBytes: 600_000).text + TestLink.message("after").text)
        try await link.waitUntilReceived(["after"])
        let oversize = link.events.compactMap { event -> (String?, Int)? in
            if case .oversize(let stub, let limit) = event { (stub.id, limit) } else { nil }
        }
        #expect(oversize.count == 1 && oversize.first?.0 == "huge" && oversize.first?.1 == 524_288)
        try await peer.close()
        try await link.close()
        try await listener.close()
    }

    @Test func `a peer that never answers the closing tag does not hold up the shutdown`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        try await link.waitUntilConnected()
        let clock = ContinuousClock()
        let took = try await clock.measure { try await link.close() }
        #expect(took < .seconds(20), "the close timeout here is half a second")
        #expect(peer.text == "</stream:stream>")
        try await peer.close()
        try await listener.close()
    }

    @Test func `a listener that cannot have its address says so`() async throws {
        let (link, listener, remote) = try await acceptor()
        let second = try await TestListener.make(remote.host, port: remote.port, on: loop)
        let error = await #expect(throws: TransportError.self) { try await second.bind() }
        #expect(error?.code == .cannotListen)
        try await link.close()
        try await listener.close()
    }

    @Test func `batches that are sent without a connection come back unsent`() async throws {
        let (link, listener, _) = try await acceptor()
        try await link.run { $0.send([TestLink.message("lost")]) }
        try await eventually { link.disconnects.count == 1 }
        #expect(link.disconnects.first?.unsent == ["lost"])
        #expect(link.disconnects.first?.inDoubt == [])
        try await link.close()
        try await listener.close()
    }
}
