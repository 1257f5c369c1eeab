import Testing
import XMPP

@testable import TLS

@Suite("TLS sessions")
struct ResumptionTests {
    let authority: TestAuthority
    let identity: TLSConfiguration.Identity

    init() throws {
        self.authority = try TestAuthority()
        self.identity = try self.authority.identity("hq.example")
    }

    private func isResumed(
        _ client: TLSContext, _ server: TLSContext, name: String? = "hq.example", identity: String? = nil
    ) throws -> Bool {
        let wire = try Wire(
            client: .client(client, serverName: name, identity: identity), server: .server(server))
        wire.client.send("<hello/>")
        try wire.run()
        #expect(wire.server.recorder.text == "<hello/>")
        #expect(wire.client.recorder.isResumed == wire.server.recorder.isResumed)
        #expect(wire.client.recorder.peer?.dnsNames == ["hq.example"])
        return try #require(wire.client.recorder.isResumed as Bool?)
    }

    @Test(
        "a second connection resumes the first, and both sides still know whom they talk to",
        arguments: [
            TLSVersion.v1_2, .v1_3,
        ])
    func resumption(version: TLSVersion) throws {
        let ship = try self.authority.identity("ship.example")
        let client = try TLSContext(
            .testClient(self.authority.trust, identity: ship).with { $0.maximumVersion = version })
        let server = try TLSContext(
            .testServer(self.identity, trust: self.authority.trust, verification: .required))
        for expected in [false, true, true, true] {
            let wire = try Wire(client: .client(client, serverName: "hq.example"), server: .server(server))
            wire.client.send("<hello/>")
            try wire.run()
            #expect(wire.server.recorder.text == "<hello/>")
            #expect(wire.client.recorder.version == version)
            #expect(wire.client.recorder.isResumed == expected)
            #expect(wire.server.recorder.isResumed == expected)
            #expect(wire.client.recorder.peer?.matches(try #require(Domain("hq.example"))) == true)
            #expect(wire.server.recorder.peer?.matches(try #require(Domain("ship.example"))) == true)
        }
    }

    @Test("a connection without an orderly end may be resumed, one that failed may not")
    func unorderlyEnd() throws {
        let client = try TLSContext(.testClient(self.authority.trust).with { $0.maximumVersion = .v1_2 })
        let server = try TLSContext(.testServer(self.identity))
        do {
            let wire = try Wire(client: .client(client, serverName: "hq.example"), server: .server(server))
            try wire.run()
            wire.client.loseConnection()
        }
        #expect(try self.isResumed(client, server))
    }

    @Test("a session belongs to one name and one own certificate")
    func keys() throws {
        let client = try TLSContext(.testClient(self.authority.trust, verification: .recorded))
        let server = try TLSContext(.testServer(self.identity))
        #expect(try !self.isResumed(client, server))
        #expect(try !self.isResumed(client, server, name: "other.example"))
        #expect(try !self.isResumed(client, server, identity: "ship.example"))
        #expect(try !self.isResumed(client, server, name: nil))
        #expect(try !self.isResumed(client, server, name: nil))
        #expect(try self.isResumed(client, server))
    }

    @Test("nothing is resumed with a new context, without tickets, or where a certificate was refused")
    func refusals() throws {
        let client = try TLSContext(.testClient(self.authority.trust))
        let server = try TLSContext(.testServer(self.identity))
        #expect(try !self.isResumed(client, server))
        // Restarted or reconfigured: old tickets mean nothing.
        let restarted = try TLSContext(.testServer(self.identity))
        #expect(try !self.isResumed(client, restarted))
        #expect(try self.isResumed(client, restarted))
        #expect(try !self.isResumed(try TLSContext(.testClient(self.authority.trust)), restarted))

        let withoutTickets = try TLSContext(.testServer(self.identity).with { $0.sessionTickets = 0 })
        let other = try TLSContext(.testClient(self.authority.trust))
        #expect(try !self.isResumed(other, withoutTickets))
        #expect(try !self.isResumed(other, withoutTickets))
        #expect(other.sessions.count == 0)

        let stranger = try TestAuthority(name: "Stranger")
        let distrustful = try TLSContext(.testClient(stranger.trust, verification: .recorded))
        #expect(try !self.isResumed(distrustful, server))
        #expect(try !self.isResumed(distrustful, server))
        #expect(distrustful.sessions.count == 0)
    }

    @Test("a client's refused certificate stays refused on a server that resumes")
    func recordedOnServer() throws {
        let stranger = try TestAuthority(name: "Stranger")
        let client = try TLSContext(
            .testClient(self.authority.trust, identity: try stranger.identity("hq.example")))
        let server = try TLSContext(
            .testServer(self.identity, trust: self.authority.trust, verification: .recorded))
        for expected in [false, true] {
            let wire = try Wire(client: .client(client, serverName: "hq.example"), server: .server(server))
            wire.client.send("<hello/>")
            try wire.run()
            #expect(wire.server.recorder.isResumed == expected)
            let peer = try #require(wire.server.recorder.peer)
            #expect(peer.dnsNames == ["hq.example"])
            #expect(!peer.isValid && peer.failure != nil)
        }
    }

    @Test("dates and pins are checked again when a session is resumed")
    func recheck() throws {
        let leaf = try self.authority.authority.issue(for: try #require(Domain("hq.example"))).certificate
        func failure(_ trust: TLSConfiguration.Trust, at now: Int64) -> String? {
            PeerVerifier(
                configuration: .testClient(trust), serverName: "hq.example", now: now
            ).failureWithoutChain(of: leaf)?.sentence
        }
        #expect(failure(self.authority.trust, at: UnixTime.now) == nil)
        #expect(failure(self.authority.trust, at: leaf.notAfter) == nil)
        #expect(failure(self.authority.trust, at: leaf.notAfter + 1)?.hasPrefix("it expired on") == true)
        #expect(failure(self.authority.trust, at: leaf.notBefore - 1)?.hasPrefix("it is not valid before") == true)
        #expect(failure(.fingerprints([leaf.fingerprint]), at: leaf.notAfter + 1) == nil)
        #expect(failure(.fingerprints([]), at: UnixTime.now)?.contains("not one of the pinned") == true)
    }

    @Test("the cache forgets peers when there are too many")
    func bounded() throws {
        let client = try TLSContext(.testClient(self.authority.trust, verification: .recorded))
        let server = try TLSContext(.testServer(self.identity))
        for number in 0..<SessionCache.peersLimit + 20 {
            let wire = try Wire(client: .client(client, serverName: "host\(number).example"), server: .server(server))
            try wire.run()
        }
        #expect(client.sessions.count == SessionCache.peersLimit)
    }
}
