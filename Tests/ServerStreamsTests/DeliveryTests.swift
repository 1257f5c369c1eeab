import NIOCore
import ServerStreams
import Testing
import XMPP

/// What becomes of stanzas for the local server when it is slow, down, or comes back.
@Suite struct DeliveryTests {
    private func stanza(_ number: Int, from: String = "b@hq.example", to: String = "a@ship.example") -> Stanza {
        message(from: from, to: to, "\(number)")
    }

    /// An authorised stream on connection 1.
    private func opened(_ configuration: LocalSideConfiguration = .site()) -> Transcript {
        var side = Transcript(configuration)
        _ = side.deliver(self.stanza(0))
        self.authorize(&side, token: 0, connection: 1)
        _ = side.written(1, 1)
        return side
    }

    @discardableResult
    private func authorize(
        _ side: inout Transcript, token: UInt64, connection: UInt64, local: String = "ship.example",
        remote: String = "hq.example"
    ) -> [LocalAction] {
        _ = side.dialed(token, connection)
        _ = side.open(connection, from: local, to: remote, id: "srv")
        _ = side.receive(
            connection, "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>")
        return side.receive(connection, "<db:result from='\(local)' to='\(remote)' type='valid'/>")
    }

    private func writes(_ actions: [LocalAction]) -> [Stanza] {
        actions.compactMap { if case .writeStanza(_, let stanza) = $0 { stanza } else { nil } }
    }

    @Test("The order of a pair is kept from the dial to the last write")
    func order() {
        var side = Transcript()
        let stanzas = (0..<20).map { self.stanza($0) }
        for stanza in stanzas[0..<8] { _ = side.deliver(stanza) }
        _ = side.dialed(0, 1)
        for stanza in stanzas[8..<12] { _ = side.deliver(stanza) }
        _ = side.open(1, id: "srv")
        _ = side.receive(1, "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>")
        for stanza in stanzas[12..<15] { _ = side.deliver(stanza) }
        _ = side.receive(1, "<db:result from='ship.example' to='hq.example' type='valid'/>")
        for stanza in stanzas[15...] { _ = side.deliver(stanza) }
        #expect(self.writes(side.actions) == stanzas)
        #expect(side.actions.dials == [0])
    }

    @Test("An unwritable connection gets nothing; it goes on where it stopped")
    func backpressure() {
        var side = self.opened()
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: false, now: .at(0))
        let stanzas = (1..<6).map { self.stanza($0) }
        for stanza in stanzas { #expect(side.deliver(stanza).isEmpty) }
        #expect(side.side.snapshot.queuedStanzas == 5)
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: true, now: .at(0))
        // The runtime may find the connection full after every single write.
        #expect(side.side.nextAction() == .writeStanza(ConnectionID(number: 1), stanzas[0]))
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: false, now: .at(0))
        #expect(side.draw().isEmpty)
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: true, now: .at(0))
        #expect(self.writes(side.draw()) == Array(stanzas[1...]))
        #expect(side.side.snapshot.queuedBytes == 0)
    }

    @Test("A queue is bounded in stanzas and in bytes, per pair and altogether")
    func bounded() {
        var configuration = LocalSideConfiguration.site()
        configuration.queuedStanzasPerPair = 3
        var counted = Transcript(configuration)
        for number in 0..<3 { #expect(counted.deliver(self.stanza(number)).undeliverable.isEmpty) }
        #expect(counted.deliver(self.stanza(3)) == [.undeliverable(self.stanza(3), nil, .resourceConstraint, .wait)])
        let other = self.stanza(4, to: "r@conference.ship.example")
        #expect(counted.deliver(other).undeliverable.isEmpty)

        configuration = .site()
        configuration.queuedBytesPerPair = self.stanza(0).byteCount * 2 + 1
        configuration.queuedBytes = self.stanza(0).byteCount * 3 + 40
        var sized = Transcript(configuration)
        for number in 0..<2 { #expect(sized.deliver(self.stanza(number)).undeliverable.isEmpty) }
        #expect(sized.deliver(self.stanza(2)).undeliverable.map(\.condition) == [.resourceConstraint])
        #expect(sized.deliver(other).undeliverable.isEmpty)
        #expect(sized.deliver(other).undeliverable.map(\.condition) == [.resourceConstraint])
    }

    @Test("What lies in an inbox is bounded there, and no full queue sends it back")
    func inboxIsTheBound() {
        var configuration = LocalSideConfiguration.site()
        configuration.queuedStanzasPerPair = 2
        configuration.queuedBytesPerPair = self.stanza(0).byteCount
        configuration.queuedBytes = self.stanza(0).byteCount
        var side = Transcript(configuration)
        for number in 0..<5 { #expect(side.deliver(self.stanza(number), ticket: UInt64(number)).undeliverable.isEmpty) }
        let isHalfFull = side.side.isQueueHalfFull
        #expect(isHalfFull)
        #expect(side.deliver(self.stanza(5)).undeliverable.map(\.condition) == [.resourceConstraint])
    }

    @Test("A full queue is noted at the first, second, fourth… stanza, not at each")
    func overflowNotes() {
        var configuration = LocalSideConfiguration.site()
        configuration.queuedStanzasPerPair = 1
        var side = Transcript(configuration)
        for number in 0..<101 { _ = side.deliver(self.stanza(number)) }
        #expect(side.actions.undeliverable.count == 100)
        #expect(side.noted(.queueOverflow).count == 7)
    }

    @Test("d12: pairs that have fallen silent make room for others, unless something of theirs is still on its way")
    func replacement() {
        var configuration = LocalSideConfiguration.site()
        configuration.maximumRoutes = 2
        var side = Transcript(configuration)
        for number in 0..<2 as Range<UInt64> {
            _ = side.deliver(self.stanza(0, from: "b@x\(number).hq.example"))
            self.authorize(&side, token: number, connection: number, remote: "x\(number).hq.example")
        }
        let third = self.stanza(0, from: "b@x2.hq.example")
        for _ in 0..<100 { #expect(side.deliver(third).undeliverable.map(\.condition) == [.resourceConstraint]) }
        #expect(side.noted(.queueOverflow).count == 100)
        #expect(side.noted(.queueOverflow).count { !$0.isRepetition } == 7, "not a line per stanza")
        _ = side.wait(6)
        #expect(side.deliver(third).undeliverable.count == 1, "the kernel has taken neither stanza")
        _ = side.written(0, 1)
        _ = side.written(1, 1)
        let replaced = side.deliver(third)
        #expect(replaced.undeliverable.isEmpty)
        #expect(replaced.written(0) == "</stream:stream>", "the oldest gives its place")
        #expect(replaced.written(1).isEmpty)
        #expect(replaced.dials == [2])
        #expect(side.closed(0).dials.isEmpty)
    }

    @Test("A server that is down is dialled with growing pauses; what waited too long goes back")
    func serverDown() {
        var side = Transcript()
        var dials: [Int64] = []
        var pending = side.deliver(self.stanza(0)).dials
        var back: [(stanza: Stanza, condition: StanzaErrorCondition)] = []
        for second in 0..<400 as Range<Int64> {
            while let token = pending.first {
                pending.removeFirst()
                dials.append(second)
                back += side.dialFailed(token).undeliverable
            }
            let actions = side.wait(1)
            pending += actions.dials
            back += actions.undeliverable
        }
        let pauses = zip(dials.dropFirst(), dials).map { $0 - $1 }
        #expect(pauses.count >= 8 && pauses.count <= 20, "\(pauses)")
        #expect(pauses.allSatisfy { $0 <= 61 }, "\(pauses)")
        #expect(pauses.last.map { $0 >= 30 } == true, "\(pauses)")
        #expect(back.map(\.stanza) == [self.stanza(0)])
        #expect(back.map(\.condition) == [.remoteServerTimeout])
        // Nothing waits any more, so nobody dials any more.
        #expect(side.wait(3_600).dials.isEmpty)
        #expect(side.noted(.queueExpired).count == 1)
    }

    @Test("While the server is down one dial speaks for all; its success wakes the others")
    func oneProbe() {
        var side = Transcript()
        _ = side.deliver(self.stanza(0))
        _ = side.deliver(self.stanza(1, from: "r@rooms.hq.example"))
        _ = side.deliver(self.stanza(2, to: "r@conference.ship.example"))
        #expect(side.actions.dials == [0, 1, 2])
        for token in 0..<3 as Range<UInt64> { _ = side.dialFailed(token) }
        #expect(side.noted(.dialFailed).count == 1)
        #expect(side.wait(2).dials == [3])
        #expect(side.wait(30).dials.isEmpty)
        #expect(Set(side.dialed(3, 1).dials) == [4, 5])
    }

    @Test("The server's own knock ends the waiting")
    func knock() {
        var side = Transcript()
        _ = side.deliver(self.stanza(0, to: "r@conference.ship.example"))
        _ = side.dialFailed(0)
        _ = side.accept(7)
        _ = side.open(7)
        // The question about its key goes out at once, whatever the pause.
        #expect(side.receive(7, "<db:result from='ship.example' to='hq.example'>k</db:result>").dials == [1])
        #expect(side.dialed(1, 8).dials == [2])
    }

    @Test("A restart of the server in the middle loses nothing that had not left")
    func restart() {
        var side = self.opened()
        _ = side.wait(10)
        let stanzas = (1..<7).map { self.stanza($0) }
        for stanza in stanzas[0..<3] { _ = side.deliver(stanza) }
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: false, now: side.now)
        for stanza in stanzas[3..<5] { _ = side.deliver(stanza) }
        _ = side.written(1, 1)
        let actions = side.closed(1)
        #expect(actions.dials == [1])
        _ = side.dialFailed(1)
        _ = side.deliver(stanzas[5])
        #expect(side.wait(2).dials == [2])
        #expect(self.writes(self.authorize(&side, token: 2, connection: 2)) == Array(stanzas[1...]))
        #expect(side.actions.undeliverable.isEmpty)
        #expect(side.side.snapshot.queuedBytes == 0 && side.side.snapshot.queuedStanzas == 0)
    }

    @Test("A server that takes streams only to close them is not dialled without pause")
    func flapping() {
        var side = self.opened()
        _ = side.deliver(self.stanza(1))
        #expect(side.closed(1).dials.isEmpty)
        #expect(side.wait(2).dials == [1])
    }

    @Test("peers d18: an error is never answered with an error, nor an answer")
    func neverAnErrorToAnError() {
        var configuration = LocalSideConfiguration.site()
        configuration.queuedStanzasPerPair = 1
        var side = Transcript(configuration)
        let last = [
            element("<message type='error' to='a@ship.example' from='b@hq.example' id='1'/>"),
            element("<presence type='error' to='a@ship.example' from='b@hq.example' id='2'/>"),
            element("<iq type='error' to='a@ship.example' from='b@hq.example' id='3'/>"),
            element("<iq type='result' to='a@ship.example' from='b@hq.example' id='4'/>"),
        ]
        _ = side.deliver(last[0])
        for stanza in last[1...] { #expect(side.deliver(stanza).isEmpty) }
        // Time-out and refusal as well.
        _ = side.dialFailed(0)
        #expect(side.wait(400).undeliverable.isEmpty)
        #expect(side.noted(.stanzaDiscarded).count == 4)
        _ = side.deliver(element("<iq type='get' to='a@ship.example' from='b@hq.example' id='5'/>"))
        #expect(side.wait(400).undeliverable.map(\.stanza.id) == ["5"])
        // And in dialback: an error that answers nothing is not answered.
        _ = side.accept(9)
        _ = side.open(9)
        let error = "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
        for name in ["db:result", "db:verify"] {
            let xml = "<\(name) from='ship.example' to='hq.example' id='x' type='error'>\(error)</\(name)>"
            #expect(side.receive(9, xml).isEmpty)
        }
    }

    @Test("A stanza for nobody's domain goes back; one in nobody's name is dropped")
    func foreignDomains() {
        var side = Transcript()
        let astray = self.stanza(0, to: "a@other.example")
        #expect(side.deliver(astray) == [.undeliverable(astray, nil, .remoteServerNotFound, .cancel)])
        #expect(side.deliver(self.stanza(1, from: "b@ship.example")).isEmpty)
        #expect(side.deliver(element("<message to='a@ship.example'/>")).isEmpty)
        #expect(side.noted(.stanzaDiscarded).count == 2)
    }

    @Test("Pairs are bounded: a peer that makes up sub-domains cannot make streams without end")
    func boundedRoutes() {
        var configuration = LocalSideConfiguration.site()
        configuration.maximumRoutes = 4
        var side = Transcript(configuration)
        for number in 0..<10 { _ = side.deliver(self.stanza(number, from: "b@x\(number).hq.example")) }
        #expect(side.actions.dials.count == 4)
        #expect(side.actions.undeliverable.map(\.condition) == Array(repeating: .resourceConstraint, count: 6))
    }

    @Test("An idle stream of ours is closed and opened again when there is traffic")
    func idle() {
        var configuration = LocalSideConfiguration.site()
        configuration.keepAlive = nil
        var side = self.opened(configuration)
        let actions = side.wait(1_802)
        #expect(actions.written(1) == "</stream:stream>")
        side.side.streamClosed(ConnectionID(number: 1), now: side.now)
        #expect(side.draw().closes == [1])
        #expect(side.closed(1).isEmpty)
        #expect(side.side.snapshot.queues.isEmpty)
        #expect(side.deliver(self.stanza(1)).dials == [1])
    }

    @Test("Silence is broken with one space per interval, on streams in use only")
    func keepAlive() {
        var side = self.opened()
        _ = side.accept(5)
        let actions = side.wait(1_000)
        #expect(actions.written(1) == "   ")
        #expect(!actions.written(5).contains(" </"))
    }

    @Test("Shutdown writes what can be written, gives back the rest and closes every stream")
    func shutdown() {
        var side = self.opened()
        _ = side.accept(5)
        _ = side.open(5)
        let waiting = self.stanza(8, to: "r@conference.ship.example")
        _ = side.deliver(waiting)
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: false, now: side.now)
        _ = side.deliver(self.stanza(9))
        side.side.shutdownRequested(now: side.now)
        var actions = side.draw()
        #expect(actions.undeliverable.map(\.stanza) == [waiting])
        #expect(actions.written(5) == "</stream:stream>")
        #expect(actions.written(1).isEmpty)
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: true, now: side.now)
        actions = side.draw()
        #expect(actions.written(1) == self.stanza(9).text + "</stream:stream>")
        // The server does not answer: the deadline does.
        #expect(Set(side.wait(6).closes) == [1, 5])
        _ = side.closed(1)
        _ = side.closed(5)
        #expect(side.side.isShutDown == false)
        #expect(side.dialed(1, 6).closes == [6])
        let isShutDown = side.side.isShutDown
        #expect(isShutDown)
        #expect(side.deliver(self.stanza(10)).undeliverable.count == 1)
        #expect(side.accept(11).closes == [11])
    }

    @Test("On shutdown the server's streams end first: what it still says can be answered")
    func shutdownOrder() {
        var side = self.opened()
        _ = side.accept(2)
        _ = side.open(2)
        _ = side.receive(2, "<db:result from='ship.example' to='hq.example'>key</db:result>")
        _ = side.receive(1, "<db:verify from='ship.example' to='hq.example' id='fresh' type='valid'/>")
        side.side.shutdownRequested(now: side.now)
        let actions = side.draw()
        #expect(actions.written(2) == "</stream:stream>")
        #expect(actions.written(1).isEmpty)
        let late = message(from: "a@ship.example", to: "b@hq.example")
        #expect(side.receive(2, late).received == [late])
        let answer = message(from: "b@hq.example", to: "a@ship.example", attributes: "type='error'")
        #expect(side.deliver(answer).written(1) == answer.text)
        #expect(side.closed(2).written(1) == "</stream:stream>")
        _ = side.written(1, 2)
        #expect(side.closed(1).isEmpty)
        let isShutDown = side.side.isShutDown
        #expect(isShutDown)
    }

    @Test("What cannot be written before the shutdown deadline goes back")
    func shutdownDeadline() {
        var side = self.opened()
        side.side.writabilityChanged(ConnectionID(number: 1), isWritable: false, now: side.now)
        _ = side.deliver(self.stanza(9))
        side.side.shutdownRequested(now: side.now)
        _ = side.draw()
        let actions = side.wait(12)
        #expect(actions.undeliverable.map(\.stanza) == [self.stanza(9)])
        #expect(actions.closes == [1])
    }

    @Test("The snapshot names streams, pairs, queues and problems")
    func snapshot() {
        var side = self.opened()
        _ = side.deliver(self.stanza(1, to: "r@conference.ship.example"))
        _ = side.dialFailed(1, "connection\nrefused")
        let status = side.side.snapshot
        #expect(status.streams.map(\.direction) == [.outbound])
        #expect(status.streams.first?.pairs == [.standard])
        #expect(status.queues.map(\.state) == ["open", "waiting before the next attempt"])
        #expect(status.queuedStanzas == 1)
        #expect(status.recentProblems.last?.text.contains("connection refused") == true)
        #expect(status.counts.first { $0.kind == .dialFailed }?.count == 1)
        #expect(status.counts.count == LocalNote.Kind.allCases.count)
    }
}
