import NIOCore
import ServerStreams
import Testing
import XMPP

/// Any input in any state: nothing traps, nothing unproved passes, no stanza gets lost between the books.
@Suite struct SweepTests {
    static let configurations: [(String, LocalSideConfiguration)] = {
        var tight = LocalSideConfiguration.site(encryption: .optional, authentication: .certificateOrDialback)
        tight.queuedStanzasPerPair = 3
        tight.maximumInboundConnections = 3
        tight.maximumRoutes = 2
        tight.maximumPendingVerifications = 2
        tight.multiplexesSenderDomains = true
        tight.idleTimeout = .seconds(30)
        tight.keepAlive = .seconds(10)
        return [
            ("dialback in the clear", .site()), ("TLS and dialback", .site(encryption: .required)),
            ("either", .site(encryption: .optional, authentication: .certificateOrDialback)),
            ("certificate", .site(encryption: .required, authentication: .certificate)), ("tight limits", tight),
            ("components", .components(["hq.example": "a", "rooms.hq.example": "b"])),
        ]
    }()

    @Test("Random inputs never break a rule", arguments: configurations.indices, 0..<6 as Range<UInt64>)
    func random(_ index: Int, _ seed: UInt64) {
        let (name, configuration) = Self.configurations[index]
        var gauntlet = Gauntlet(configuration, seed: seed)
        for _ in 0..<2_000 {
            gauntlet.step()
            guard gauntlet.violations.isEmpty else {
                Issue.record(
                    "\(name), seed \(seed): \(gauntlet.violations)\n\(gauntlet.inputs.suffix(30).joined(separator: "\n"))")
                return
            }
        }
    }

    @Test("The random inputs reach stanzas in both directions, so the sweep means something")
    func reach() {
        for (name, configuration) in Self.configurations {
            var received = 0
            var written = 0
            for seed in 0..<3 as Range<UInt64> {
                var gauntlet = Gauntlet(configuration, seed: seed)
                for _ in 0..<2_000 { gauntlet.step() }
                received += gauntlet.receivedCount
                written += gauntlet.writtenCount
            }
            #expect(received > 20, "\(name)")
            #expect(written > 20, "\(name)")
        }
    }

    @Test("Equal inputs give equal actions: nothing depends on the order of a hash table")
    func deterministic() {
        for (_, configuration) in Self.configurations {
            var transcripts: [[LocalAction]] = []
            for _ in 0..<2 {
                var side = Transcript(configuration)
                for number in 0..<6 {
                    _ = side.deliver(message(from: "b@x\(number).hq.example", to: "a@ship.example"))
                    _ = side.deliver(message(from: "b@hq.example", to: "a@ship.example", "\(number)"))
                }
                for token in side.actions.dials { _ = side.dialFailed(token) }
                _ = side.wait(700)
                side.side.shutdownRequested(now: side.now)
                _ = side.draw()
                transcripts.append(side.actions)
            }
            #expect(transcripts[0] == transcripts[1])
        }
    }

    /// Secrets whose end can be seen: every stream's machine holds them.
    private final class WatchedSecrets: ServerStreamSecrets {
        func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String { "k" }
        func componentHandshake(streamID: String, secret: String) -> String { "h" }
        func equalInConstantTime(_ left: String, _ right: String) -> Bool { left == right }
    }

    @Test("A local side that is dropped with open streams and full queues leaves nothing behind", arguments: [
        LocalSideConfiguration.site(), .components(["hq.example": "a"]),
    ])
    func released(_ configuration: LocalSideConfiguration) {
        weak var watched: WatchedSecrets?
        do {
            let secrets = WatchedSecrets()
            watched = secrets
            var side = Transcript(configuration, secrets: secrets)
            _ = side.accept(1)
            _ = side.deliver(message(from: "b@hq.example", to: "a@ship.example"))
            for token in side.actions.dials { _ = side.dialed(token, 10 + token) }
            _ = side.deliver(message(from: "b@hq.example", to: "r@conference.ship.example"))
            #expect(side.side.snapshot.queuedStanzas == 2)
            #expect(watched != nil)
        }
        #expect(watched == nil)
    }

    @Test("peers d22: an inbound stream that proves nothing ends at its deadline, whatever is said on it")
    func inboundDeadline() {
        var side = Transcript()
        _ = side.accept(1)
        _ = side.wait(20)
        _ = side.open(1)
        var closes: [UInt64] = []
        for number in 0..<7 {
            closes += side.wait(5).closes
            #expect(closes.isEmpty)
            _ = side.receive(1, "<db:verify from='ship.example' to='hq.example' id='\(number)'>k</db:verify>")
        }
        let actions = side.wait(6)
        #expect(actions.written(1).contains("<connection-timeout "))
        #expect(actions.closes == [1])
    }

    @Test("Silent connections do not pile up: the oldest stranger makes room, the proved one stays")
    func slots() {
        var configuration = LocalSideConfiguration.site()
        configuration.maximumInboundConnections = 4
        var side = Transcript(configuration)
        _ = side.accept(1)
        _ = side.open(1)
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example'>k</db:result>")
        _ = side.dialed(0, 5_000)
        _ = side.open(5_000, id: "srv")
        _ = side.receive(5_000, "<stream:features/>")
        _ = side.receive(5_000, "<db:verify from='ship.example' to='hq.example' id='fresh' type='valid'/>")
        var closed: [UInt64] = []
        for number in 2..<1_000 as Range<UInt64> { closed += side.accept(number).closes }
        #expect(closed == Array(2...996))
        #expect(side.side.snapshot.streams.filter { $0.direction == .inbound }.map(\.connection.number) == [1, 997, 998, 999])
        let stanza = message(from: "a@ship.example", to: "b@hq.example")
        #expect(side.receive(1, stanza).received == [stanza])
    }
}
