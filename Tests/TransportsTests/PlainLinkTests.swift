import Blocks
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Links without TLS, on real sockets, when all goes well.
@Suite(.timeLimit(.minutes(5))) struct PlainLinkTests: PlainLinkSuite {
    let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    let addresses = TestAddresses()

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

    @Test func `peers d7: status says in words that a plain link is insecure`() async throws {
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

    @Test func `peers d6, d7: a connection from an address that no peer has is closed at once and counted`() async throws {
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

    @Test func `peers d24: whitespace, an XML declaration and any split are accepted; none is ever sent`() async throws {
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

    @Test func `peers d25: both sides dial at once: each connection one-way, no loss, no duplicate`() async throws {
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
        try await TestLink.start(links.0, links.1)
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
}
