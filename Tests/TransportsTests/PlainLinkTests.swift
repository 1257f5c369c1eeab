import Blocks
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Links without TLS, on real sockets.
@Suite(.timeLimit(.minutes(1))) struct PlainLinkTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let addresses = TestAddresses()

    private func configuration(
        _ peer: String, remote: TCPLinkConfiguration.Remote? = nil, listens: Bool = false, from local: String,
        sources: LinkSources
    ) -> TCPLinkConfiguration {
        var configuration = TCPLinkConfiguration(
            peer: peer, remote: remote, listens: listens, security: .insecure(sources))
        configuration.localAddress = local
        configuration.policy.reconnectMinimum = .milliseconds(20)
        configuration.policy.reconnectMaximum = .milliseconds(200)
        configuration.policy.closeTimeout = .milliseconds(500)
        return configuration
    }

    private struct Pair {
        let dialler: TestLink
        let acceptor: TestLink
        let listener: TestListener
        let remote: TCPLinkConfiguration.Remote

        func close() async throws {
            async let one: Void = dialler.close()
            async let two: Void = acceptor.close()
            _ = try await (one, two)
            try await listener.close()
        }
    }

    /// One side dials, the other listens; both are started.
    private func pair(
        limits: LinkListener.Limits = .init(), _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> Pair {
        let listener = try await TestListener.make(addresses[1], limits: limits, on: loop)
        var accepting = configuration("ship", listens: true, from: addresses[1], sources: .only(addresses[2]))
        change(&accepting)
        let acceptor = try await TestLink.make(accepting, listener: listener, on: loop)
        try await acceptor.start()
        let remote = try await listener.bind()
        var dialling = configuration("shore", remote: remote, from: addresses[2], sources: .only(addresses[1]))
        change(&dialling)
        let dialler = try await TestLink.make(dialling, on: loop)
        try await dialler.start()
        return Pair(dialler: dialler, acceptor: acceptor, listener: listener, remote: remote)
    }

    /// A listening link alone; raw peers connect to it from `addresses[2]`.
    private func acceptor(
        limits: LinkListener.Limits = .init(), _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> (link: TestLink, listener: TestListener, remote: TCPLinkConfiguration.Remote) {
        let listener = try await TestListener.make(addresses[1], limits: limits, on: loop)
        var accepting = configuration("ship", listens: true, from: addresses[1], sources: .only(addresses[2]))
        change(&accepting)
        let link = try await TestLink.make(accepting, listener: listener, on: loop)
        try await link.start()
        return (link, listener, try await listener.bind())
    }

    private func ids(_ count: Int, _ prefix: String = "m") -> [String] {
        (0..<count).map { "\(prefix)\($0)" }
    }

    @Test(arguments: [false, true])
    func `stanzas cross in both directions on one connection, in order`(isCompressed: Bool) async throws {
        let pair = try await pair { $0.compression = isCompressed ? .deflate(level: 6) : nil }
        let (up, down) = (ids(300, "u"), ids(300, "d"))
        for start in stride(from: 0, to: 300, by: 50) {
            try await pair.dialler.send(Array(up[start..<start + 50]), bodyBytes: 300)
            try await pair.acceptor.send(Array(down[start..<start + 50]), bodyBytes: 300)
        }
        try await pair.acceptor.waitUntilReceived(up)
        try await pair.dialler.waitUntilReceived(down)
        #expect(pair.acceptor.received == up)
        #expect(pair.dialler.received == down)
        let (dialling, accepting) = (try await pair.dialler.status(), try await pair.acceptor.status())
        #expect(dialling.connections.count == 1 && accepting.connections.count == 1)
        #expect(dialling.bytesSent == accepting.bytesReceived)
        #expect(dialling.batchesSent == 6 && dialling.stanzasSent == 300 && accepting.stanzasReceived == 300)
        let plainBytes = up.reduce(0) { $0 + TestLink.message($1, bodyBytes: 300).byteCount }
        #expect(isCompressed ? dialling.bytesSent < UInt64(plainBytes / 10) : dialling.bytesSent == UInt64(plainBytes))
        // Once the peer's machine has acknowledged everything, nothing would be in doubt; the dialler must also be sure
        // that it is not refused any more, which the first stanza from the peer proves.
        try await eventually { try await pair.dialler.status().stanzasUnacknowledged == 0 }
        try await eventually { try await pair.acceptor.status().stanzasUnacknowledged == 0 }
        try await pair.close()
    }

    @Test func `d7: status says in words that a plain link is insecure`() async throws {
        let pair = try await pair()
        try await pair.dialler.waitUntilConnected()
        let status = try await pair.acceptor.status()
        #expect(status.warning?.hasPrefix("PLAIN, insecure: anybody who can reach this port") == true)
        #expect(status.warning?.contains(addresses[2]) == true)
        try await pair.acceptor.waitUntilConnected()
        let connected = try await pair.acceptor.status()
        #expect(connected.connections.first?.description.contains("PLAIN, insecure") == true)
        #expect(connected.sentence(now: .now()).hasPrefix("Connected: accepted from \(addresses[2]):"))
        try await pair.close()
    }

    @Test func `d6, d7: a connection from an address that no peer has is closed at once and counted`() async throws {
        let (link, listener, remote) = try await acceptor()
        let stranger = try await RawPeer.dial(remote.host, remote.port, from: addresses[9])
        try? await stranger.send(TestLink.message("spoofed").text)
        try await stranger.waitUntilClosed()
        #expect(stranger.text.isEmpty, "not a word to strangers")
        let counters = try await listener.counters()
        #expect(counters.unknownSources == 1 && counters.accepted == 0)
        #expect(link.events.isEmpty)
        try await link.close()
        try await listener.close()
    }

    @Test func `the first stanza leaves with the TCP handshake: no byte is waited for`() async throws {
        let listener = try await TestListener.make(addresses[1], on: loop)
        let acceptor = try await TestLink.make(
            configuration("ship", listens: true, from: addresses[1], sources: .only(addresses[3])), listener: listener,
            on: loop)
        try await acceptor.start()
        let target = try await listener.bind()
        let relay = try await FlightRelay.start(at: addresses[3], towards: (target.host, target.port))
        let dialler = try await TestLink.make(
            configuration(
                "shore", remote: .init(host: addresses[3], port: relay.port), from: addresses[2],
                sources: .only(addresses[1])), on: loop)
        try await dialler.send(["first"])
        try await dialler.start()
        try await acceptor.waitUntilReceived(["first"])
        let stanzaBytes = TestLink.message("first").byteCount
        #expect(relay.flights == [.init(fromDialler: true, bytes: stanzaBytes)], "nothing but the stanza itself")

        // And then nothing at all for as long as nobody has anything to say.
        try await Task.sleep(for: .milliseconds(500))
        #expect(relay.bytes == stanzaBytes, "an idle link is silent")

        try await acceptor.send(["answer"])
        try await dialler.waitUntilReceived(["answer"])
        #expect(relay.flights.count == 2)
        try await dialler.close()
        let tag = "</stream:stream>".utf8.count
        #expect(
            relay.flights.dropFirst(2) == [
                .init(fromDialler: true, bytes: tag), .init(fromDialler: false, bytes: tag),
            ],
            "a closing tag, answered by a closing tag")
        try await acceptor.close()
        try await listener.close()
        try await relay.server.close()
    }

    @Test func `d24: whitespace, an XML declaration and any split are accepted; none is ever sent`() async throws {
        let (link, listener, remote) = try await acceptor()
        let peer = try await RawPeer.dial(remote.host, remote.port, from: addresses[2])
        let text =
            "<?xml version='1.0'?>\n \r\n\t" + TestLink.message("a").text + "\n\n" + TestLink.message("b").text + "   "
        for byte in text.utf8 { try await peer.send([byte]) }
        try await link.waitUntilReceived(["a", "b"])
        try await link.send(["c"])
        try await link.send(["d"])
        try await peer.waitFor("id='d'")
        #expect(peer.text == TestLink.message("c").text + TestLink.message("d").text)
        try await peer.send("  </stream:stream>")
        try await peer.waitFor("</stream:stream>")
        #expect(peer.text.hasSuffix("</message></stream:stream>"))
        try await peer.close()
        try await eventually { try await link.status().state == .resting }
        #expect(link.disconnects.map(\.reason) == [LinkEnd.closedByPeer.sentence])
        try await link.close()
        try await listener.close()
    }

    @Test func `d25: both sides dial at once: each connection one-way, no loss, no duplicate`() async throws {
        // Both addresses must be known before either side starts to dial; nobody else uses these.
        let port = 5_270
        let listeners = (
            try await TestListener.make(addresses[1], port: port, on: loop),
            try await TestListener.make(addresses[2], port: port, on: loop)
        )
        let links = (
            try await TestLink.make(
                configuration(
                    "right", remote: .init(host: addresses[2], port: port), listens: true, from: addresses[1],
                    sources: .only(addresses[2])), listener: listeners.0, on: loop),
            try await TestLink.make(
                configuration(
                    "left", remote: .init(host: addresses[1], port: port), listens: true, from: addresses[2],
                    sources: .only(addresses[1])), listener: listeners.1, on: loop)
        )
        try await listeners.0.bind()
        try await listeners.1.bind()
        let expected = ids(200)
        async let one: Void = links.0.start()
        async let two: Void = links.1.start()
        _ = try await (one, two)
        try await eventually("two connections at both ends") {
            let counts = (try await links.0.status().connections.count, try await links.1.status().connections.count)
            return counts == (2, 2)
        }
        for start in stride(from: 0, to: 200, by: 20) {
            try await links.0.send(Array(expected[start..<start + 20]))
            try await links.1.send(Array(expected[start..<start + 20]))
        }
        try await links.0.waitUntilReceived(expected)
        try await links.1.waitUntilReceived(expected)
        #expect(links.0.received == expected)
        #expect(links.1.received == expected)
        for link in [links.0, links.1] {
            let status = try await link.status()
            for connection in status.connections {
                let isOwn = connection.description.hasPrefix("dialled")
                #expect(connection.sends == isOwn)
                #expect((connection.bytesSent > 0) == isOwn, "\(connection)")
                #expect((connection.bytesReceived > 0) == !isOwn, "\(connection)")
            }
        }
        async let three: Void = links.0.close()
        async let four: Void = links.1.close()
        _ = try await (three, four)
        try await listeners.0.close()
        try await listeners.1.close()
    }

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

    @Test func `the peer restarts: dialled again with back-off, the rest arrives in order`() async throws {
        let server = NIOLoopBoundBox.makeBoxSendingValue([RawPeer](), eventLoop: loop)
        let loop = loop
        let first = try await RawPeer.listen(addresses[1]) { peer in
            loop.execute { server.value.append(peer) }
        }
        let port = first.localAddress?.port ?? 0
        let link = try await TestLink.make(
            configuration(
                "shore", remote: .init(host: addresses[1], port: port), from: addresses[2], sources: .only(addresses[1])
            ),
            on: loop)
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

    @Test func `d8: a bomb on a compressed link ends in a stream error`() async throws {
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
