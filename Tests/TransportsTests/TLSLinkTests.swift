import Blocks
import Foundation
import NIOCore
import NIOPosix
import TLS
import TestSupport
import Testing
import XMPP

@testable import Transports

/// Links over TLS with certificates at both ends, on real sockets.
@Suite(.timeLimit(.minutes(5))) struct TLSLinkTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let addresses = TestAddresses()

    /// Certificates of one test; removed with it.
    private final class Certificates: Sendable {
        private let files: TemporaryDirectory
        let authority: PrivateAuthority
        var directory: String { files.path }

        init() throws {
            files = try TemporaryDirectory()
            authority = try PrivateAuthority.create(name: "link test")
            try authority.save(in: files.path)
        }

        var authorityPath: String { directory + "/ca.crt" }

        /// A certificate for `name`; `other` makes it come from an authority that nobody trusts.
        func identity(_ name: String, other: Bool = false) throws -> (
            certificate: String, key: String, fingerprint: [UInt8]
        ) {
            let issuer = other ? try PrivateAuthority.create(name: "stranger") : authority
            let leaf = try issuer.issue(for: try #require(Domain(name)))
            let files = try leaf.save(in: directory, name: name + (other ? ".other" : ""))
            return (files.certificateChainPath, files.keyPath, leaf.certificate.fingerprint)
        }
    }

    private enum Trust: String, CaseIterable, CustomTestStringConvertible {
        case authority
        case fingerprint
        var testDescription: String { rawValue }
    }

    private func tls(_ certificates: Certificates, own: String, peer: String, _ trust: Trust) throws -> LinkTLS {
        let identity = try certificates.identity(own)
        let name = try #require(Domain(peer))
        return LinkTLS(
            certificatePath: identity.certificate, keyPath: identity.key,
            trust: trust == .authority
                ? .authorities(path: certificates.authorityPath, name: name)
                : .fingerprints([try certificates.identity(peer).fingerprint]),
            serverName: name)
    }

    private func configuration(
        _ peer: String, dialect: LinkDialect = .xep, remote: TCPLinkConfiguration.Remote? = nil, tls: LinkTLS,
        from local: String
    ) -> TCPLinkConfiguration {
        var configuration = TCPLinkConfiguration(
            peer: peer, dialect: dialect, remote: remote, listens: remote == nil, security: .tls(tls, sources: nil))
        configuration.localAddress = local
        configuration.policy.reconnectMinimum = .milliseconds(20)
        configuration.policy.reconnectMaximum = .milliseconds(200)
        configuration.policy.closeTimeout = .milliseconds(500)
        return configuration
    }

    private func acceptor(
        _ tls: LinkTLS, limits: LinkListener.Limits = .init()
    ) async throws -> (link: TestLink, listener: TestListener, remote: TCPLinkConfiguration.Remote) {
        let listener = try await TestListener.make(addresses[1], limits: limits, on: loop)
        let link = try await TestLink.make(
            configuration("shore", tls: tls, from: addresses[1]), listener: listener, on: loop)
        try await link.start()
        return (link, listener, try await listener.bind())
    }

    /// Fingerprints are made when a certificate is: both ends must see the same files.
    private func bothEnds(_ certificates: Certificates, _ trust: Trust) throws -> (ship: LinkTLS, shore: LinkTLS) {
        var ship = try tls(certificates, own: "ship.example", peer: "shore.example", trust)
        var shore = try tls(certificates, own: "shore.example", peer: "ship.example", trust)
        if trust == .fingerprint {
            ship.trust = .fingerprints([try fingerprint(shore)])
            shore.trust = .fingerprints([try fingerprint(ship)])
        }
        return (ship, shore)
    }

    private func fingerprint(_ tls: LinkTLS) throws -> [UInt8] {
        try LeafCertificate.load(certificatePath: tls.certificatePath, keyPath: tls.keyPath).certificate.fingerprint
    }

    @Test(arguments: Trust.allCases)
    private func `stanzas cross under TLS in both directions, and a closing tag ends it`(trust: Trust) async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, trust)
        let accepting = try await acceptor(ship)
        let dialler = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: shore, from: addresses[2]), on: loop)
        try await dialler.start()
        let expected = (0..<200).map { "m\($0)" }
        for start in stride(from: 0, to: 200, by: 20) {
            try await dialler.send(Array(expected[start..<start + 20]), bodyBytes: 2_000)
            try await accepting.link.send(Array(expected[start..<start + 20]), bodyBytes: 2_000)
        }
        try await accepting.link.waitUntilReceived(expected)
        try await dialler.waitUntilReceived(expected)
        #expect(accepting.link.received == expected)
        #expect(dialler.received == expected)
        let status = try await dialler.status()
        #expect(status.warning == nil)
        #expect(status.connections.first?.description.contains("TLS, certificate SHA-256") == true)
        let sent = try await accepting.link.status().bytesReceived
        #expect(status.bytesSent == sent, "the bytes on the wire, TLS included")
        try await dialler.close()
        try await eventually { accepting.link.disconnects.count == 1 }
        #expect(accepting.link.disconnects.first?.reason == LinkEnd.closedByPeer.sentence)
        try await accepting.link.close()
        try await accepting.listener.close()
    }

    @Test func `the first stanza leaves in the flight that completes the TLS 1.3 handshake`() async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, .fingerprint)
        let accepting = try await acceptor(ship)
        let relay = try await FlightRelay.start(
            at: addresses[3], towards: (accepting.remote.host, accepting.remote.port))
        let dialler = try await TestLink.make(
            configuration("ship", remote: .init(host: addresses[3], port: relay.port), tls: shore, from: addresses[2]),
            on: loop)
        try await dialler.send(["first"])
        try await dialler.start()
        try await accepting.link.waitUntilReceived(["first"])
        let flights = relay.flights
        #expect(
            flights.map(\.fromDialler) == [true, false, true],
            "ClientHello; ServerHello to Finished; certificate, Finished and the stanza")
        #expect(relay.bytes < 3_000, "\(flights)")
        try await Task.sleep(for: .milliseconds(500))
        #expect(relay.flights == flights, "an idle link is silent")
        try await dialler.close()
        try await accepting.link.close()
        try await accepting.listener.close()
        try await relay.server.close()
    }

    @Test(arguments: Trust.allCases)
    private func `a dialler with the wrong certificate gets nothing in, and its stanzas are in doubt`(trust: Trust)
        async throws
    {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, trust)
        let accepting = try await acceptor(ship)
        var wrong = shore
        let identity = try certificates.identity("shore.example.wrong", other: true)
        (wrong.certificatePath, wrong.keyPath) = (identity.certificate, identity.key)
        let dialler = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: wrong, from: addresses[2]), on: loop)
        try await dialler.send(["secret"])
        try await dialler.start()
        try await eventually { dialler.disconnects.count >= 1 }
        #expect(dialler.disconnects.first?.inDoubt == ["secret"], "it was written before the refusal could come")
        try await eventually { try await accepting.listener.counters().unknownCertificates >= 1 }
        #expect(accepting.link.events.isEmpty)
        let lastError = try await dialler.status().lastError
        #expect(lastError?.contains("TLS") == true, "\(lastError ?? "-")")
        try await dialler.close()
        try await accepting.link.close()
        try await accepting.listener.close()
    }

    @Test(arguments: Trust.allCases)
    private func `a listener with the wrong certificate is told nothing`(trust: Trust) async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, trust)
        var wrong = ship
        let identity = try certificates.identity("ship.example", other: true)
        (wrong.certificatePath, wrong.keyPath) = (identity.certificate, identity.key)
        let accepting = try await acceptor(wrong)
        let dialler = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: shore, from: addresses[2]), on: loop)
        try await dialler.send(["secret"])
        try await dialler.start()
        try await eventually { try await dialler.status().lastError != nil }
        #expect(dialler.connects == 0)
        #expect(accepting.link.events.isEmpty)
        try await dialler.close()
        try await accepting.link.close()
        try await accepting.listener.close()
    }

    @Test func `a certificate of the right authority for another name is refused by both ends`() async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, .authority)
        let accepting = try await acceptor(ship)
        let other = try certificates.identity("other.example")
        var dialling = shore
        (dialling.certificatePath, dialling.keyPath) = (other.certificate, other.key)
        let dialler = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: dialling, from: addresses[2]), on: loop)
        try await dialler.start()
        try await eventually { try await accepting.listener.counters().unknownCertificates >= 1 }
        #expect(accepting.link.events.isEmpty)
        try await dialler.close()

        var expecting = shore
        expecting.trust = .authorities(path: certificates.authorityPath, name: try #require(Domain("other.example")))
        let second = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: expecting, from: addresses[2]), on: loop)
        try await second.start()
        try await eventually { try await second.status().lastError != nil }
        #expect(second.connects == 0)
        try await second.close()
        try await accepting.link.close()
        try await accepting.listener.close()
    }

    @Test func `several peers share one listener and are told apart by their certificates`() async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, .authority)
        let island = try certificates.identity("island.example")
        var forIsland = ship
        forIsland.trust = .fingerprints([island.fingerprint])
        let listener = try await TestListener.make(addresses[1], on: loop)
        let fromShore = try await TestLink.make(
            configuration("shore", tls: ship, from: addresses[1]), listener: listener, on: loop)
        let fromIsland = try await TestLink.make(
            configuration("island", tls: forIsland, from: addresses[1]), listener: listener, on: loop)
        try await fromShore.start()
        try await fromIsland.start()
        let remote = try await listener.bind()
        var islandTLS = shore
        (islandTLS.certificatePath, islandTLS.keyPath) = (island.certificate, island.key)
        for (tls, id) in [(shore, "s"), (islandTLS, "i")] {
            let dialler = try await TestLink.make(
                configuration("ship", remote: remote, tls: tls, from: addresses[2]), on: loop)
            try await dialler.send([id])
            try await dialler.start()
            try await (id == "s" ? fromShore : fromIsland).waitUntilReceived([id])
            try await dialler.close()
        }
        #expect(fromShore.received == ["s"] && fromIsland.received == ["i"])
        try await fromShore.close()
        try await fromIsland.close()
        try await listener.close()
    }

    @Test func `peers that one listener could not tell apart are refused`() async throws {
        let certificates = try Certificates()
        let (ship, _) = try bothEnds(certificates, .authority)
        let listener = try await TestListener.make(addresses[1], on: loop)
        _ = try await TestLink.make(configuration("one", tls: ship, from: addresses[1]), listener: listener, on: loop)
        let error = await #expect(throws: TransportError.self) {
            _ = try await TestLink.make(
                configuration("two", tls: ship, from: addresses[1]), listener: listener, on: loop)
        }
        #expect(error?.code == .conflictingPeers)
        #expect(error?.description.contains("one") == true && error?.description.contains("two") == true)
    }

    @Test func `peers d9: nothing is read before the peer is known, and strangers are thrown out in time`() async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, .fingerprint)
        var limits = LinkListener.Limits()
        limits.handshakeTimeout = .milliseconds(700)
        limits.admission.pendingPerSource = 3
        let accepting = try await acceptor(ship, limits: limits)

        // Stanzas, and a compressed bomb, in the clear: no TLS, so not a byte of it reaches a decoder.
        for bytes in [Array(TestLink.message("spoofed").text.utf8), Bomb.deflatedSpaces(megabytes: 10)] {
            let stranger = try await RawPeer.dial(accepting.remote.host, accepting.remote.port, from: addresses[9])
            try? await stranger.send(bytes)
            try await stranger.waitUntilClosed()
        }
        // One byte of a ClientHello every now and then does not move the deadline.
        let loris = try await RawPeer.dial(accepting.remote.host, accepting.remote.port, from: addresses[8])
        let started = ContinuousClock.now
        let hello: [UInt8] = [0x16, 0x03, 0x01, 0x01, 0x00, 0x01]
        var sent = 0
        while !loris.isClosed, ContinuousClock.now - started < .seconds(20) {
            if sent < hello.count { try? await loris.send([hello[sent]]) }
            sent += 1
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(loris.isClosed)
        #expect(ContinuousClock.now - started < .seconds(15))

        // Many silent ones from one address: only a few are kept, and the peer still gets in.
        var silent: [RawPeer] = []
        for _ in 0..<12 {
            silent.append(try await RawPeer.dial(accepting.remote.host, accepting.remote.port, from: addresses[7]))
        }
        try await eventually { silent.count(where: \.isClosed) >= 9 }
        let pending = try await accepting.listener.pending()
        #expect(pending <= 3)
        let dialler = try await TestLink.make(
            configuration("ship", remote: accepting.remote, tls: shore, from: addresses[2]), on: loop)
        try await dialler.send(["real"])
        try await dialler.start()
        try await accepting.link.waitUntilReceived(["real"])
        #expect(accepting.link.received == ["real"])
        try await eventually { silent.allSatisfy(\.isClosed) }
        let counters = try await accepting.listener.counters()
        // How many silent ones are over the limit and how many time out depends on how fast this machine is, and so does
        // whether what came in the clear was read before its time was over.
        #expect(counters.timeouts + counters.overLimits + counters.unknownCertificates >= 14, "\(counters)")
        try await dialler.close()
        try await accepting.link.close()
        try await accepting.listener.close()
    }

    @Test func `peers d9: no block of a stranger is looked at, with TLS or without`() async throws {
        let certificates = try Certificates()
        let (ship, shore) = try bothEnds(certificates, .fingerprint)
        let listener = try await TestListener.make(addresses[1], on: loop)
        let link = try await TestLink.make(
            configuration("shore", dialect: .skywave, tls: ship, from: addresses[1]), listener: listener, on: loop)
        try await link.start()
        let remote = try await listener.bind()
        let blocks = [TestBlocks.opening(), TestBlocks.block(1, bytes: 5_000)]

        let plain = try await RawPeer.dial(remote.host, remote.port, from: addresses[9])
        try? await plain.send(blocks.flatMap(\.bytes))
        try await plain.waitUntilClosed()
        var strange = shore
        let other = try certificates.identity("shore.example", other: true)
        (strange.certificatePath, strange.keyPath) = (other.certificate, other.key)
        for (tls, isPeer) in [(strange, false), (shore, true)] {
            let dialler = try await TestLink.make(
                configuration("ship", dialect: .skywave, remote: remote, tls: tls, from: addresses[2]), on: loop)
            try await dialler.send(blocks: blocks)
            try await dialler.start()
            if isPeer {
                try await eventually { link.blocks.count == 2 }
            } else {
                try await eventually { try await listener.counters().unknownCertificates >= 2 }
                #expect(link.blocks == [] && link.connects == 0)
            }
            try await dialler.close()
        }
        #expect(link.blocks == blocks)
        try await link.close()
        try await listener.close()
    }

    @Test func `a certificate file that cannot be read is an error at the start`() async throws {
        let tls = LinkTLS(
            certificatePath: "/nonexistent/a.crt", keyPath: "/nonexistent/a.key",
            trust: .fingerprints([Array(repeating: 7, count: 32)]), serverName: nil)
        let error = await #expect(throws: TransportError.self) {
            _ = try await TestLink.make(
                configuration("x", remote: .init(host: addresses[1], port: 1), tls: tls, from: addresses[2]), on: loop)
        }
        #expect(error?.code == .tls)
        #expect(error?.description.contains("/nonexistent/a.crt") == true)
    }
}
