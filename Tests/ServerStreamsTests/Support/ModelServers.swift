import DequeModule
import NIOCore
import ServerStreams
import TestSupport
import XMPP

/// A server that the bridge dials: it reads what the kernel brings it, acknowledges where it was asked to, dies at any step,
/// and ends a stream with an error on stanzas that it cannot bear.
struct ReadingServer: ~Copyable {
    enum Habit: CaseIterable {
        case acknowledges, refuses, offersNothing, changesItsMind
    }

    private enum Item {
        case stanza(Stanza)
        case request
    }

    private struct Stream {
        /// Written by the bridge, not yet taken by the kernel; then taken, not yet read.
        var written: [Item] = []
        var taken: [Item] = []
        var isManaged = false
        var read = 0
        var told = 0
        var ids: [Int] = []
        /// What the server says next.
        var replies: [String] = []
    }

    var side: Transcript
    private var generator: SeededGenerator
    private let habit: Habit
    /// Stanzas on which the server ends the stream.
    private let bad: Set<Int>
    private var streams: [UInt64: Stream] = [:]
    private var dials: [UInt64] = []
    private var nextConnection: UInt64 = 1
    private(set) var sent = 0
    /// Everything that was read, in order.
    private(set) var read: [Int] = []
    /// What the kernel had and the server had not read when a stream died.
    private(set) var swallowed = 0
    private(set) var reports: [Int: Int] = [:]
    private(set) var givenBack: [Int] = []
    private(set) var disorder: [String] = []

    init(_ habit: Habit, bad: Set<Int>, seed: UInt64) {
        var configuration = LocalSideConfiguration.site()
        configuration.unacknowledgedStanzas = 8
        self.side = Transcript(configuration)
        self.habit = habit
        self.bad = bad
        self.generator = SeededGenerator(seed: seed)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.generator) < percent }

    static func pair(_ id: Int) -> Int { id % 3 }

    private func remote(_ id: Int) -> String { ["hq.example", "rooms.hq.example", "hq.example"][Self.pair(id)] }

    mutating func deliver() {
        self.sent += 1
        let id = self.sent
        let stanza = message(
            from: "u\(Self.pair(id))@\(self.remote(id))", to: "a@ship.example", attributes: "id='\(id)'")
        self.learn(self.side.deliver(stanza, ticket: UInt64(id)))
    }

    /// One step of whatever may happen.
    mutating func step(mayDie: Bool) {
        switch Int.random(in: 0..<100, using: &self.generator) {
        case 0..<12: if mayDie { self.deliver() }
        case 12..<18: self.answerDial(succeeds: !mayDie || self.chance(85))
        case 18..<22:
            if mayDie, self.chance(60), let number = self.anyStream() { self.die(number) }
        case 22..<26: self.learn(self.side.wait(mayDie ? Int64.random(in: 0...3, using: &self.generator) : 10))
        case 26..<30:
            guard let number = self.anyStream() else { return }
            self.side.side.writabilityChanged(
                ConnectionID(number: number), isWritable: !mayDie || self.chance(60), now: self.side.now)
            self.learn(self.side.draw())
        case 30..<45: self.reply()
        case 45..<75: self.takeOne()
        default: self.readOne(mayDie)
        }
    }

    private mutating func anyStream() -> UInt64? { self.streams.keys.sorted().randomElement(using: &self.generator) }

    private mutating func learn(_ actions: [LocalAction]) {
        for action in actions {
            switch action {
            case .dial(let token): self.dials.append(token.number)
            case .write(let id, let xml): self.heard(id.number, xml)
            case .writeStanza(let id, let stanza): self.streams[id.number]?.written.append(.stanza(stanza))
            case .delivered(let tickets): for ticket in tickets { self.reports[Int(ticket.id), default: 0] += 1 }
            case .undeliverable(_, let ticket, _, _):
                guard let ticket else { continue }
                self.reports[Int(ticket.id), default: 0] += 1
                self.givenBack.append(Int(ticket.id))
            case .close(let id): self.die(id.number)
            case .startTLS, .restartReader, .authenticated, .received, .oversize, .arm, .disarm, .note, .streamOpened,
                .streamLost:
                break
            }
        }
    }

    private mutating func heard(_ number: UInt64, _ xml: String) {
        if xml.hasPrefix("<db:result"), let remote = xml.components(between: " from='", and: "'") {
            self.streams[number]?.replies.append("<db:result from='ship.example' to='\(remote)' type='valid'/>")
        } else if xml.hasPrefix("<enable ") {
            let agrees = self.habit == .acknowledges || (self.habit == .changesItsMind && self.chance(50))
            self.streams[number]?.isManaged = agrees
            let failed = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
            self.streams[number]?.replies.append(agrees ? "<enabled xmlns='urn:xmpp:sm:3'/>" : failed)
        } else if xml.hasPrefix("<r ") {
            self.streams[number]?.written.append(.request)
        }
    }

    private mutating func answerDial(succeeds: Bool) {
        guard !self.dials.isEmpty else { return }
        let token = self.dials.removeFirst()
        guard succeeds else {
            self.learn(self.side.dialFailed(token))
            return
        }
        let number = self.nextConnection
        self.nextConnection += 1
        var stream = Stream()
        let management = self.habit == .offersNothing ? "" : "<sm xmlns='urn:xmpp:sm:3'/>"
        stream.replies = [
            "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>\(management)</stream:features>"
        ]
        self.streams[number] = stream
        self.learn(self.side.dialed(token, number))
        self.learn(self.side.open(number, id: "srv\(number)"))
    }

    /// The server says what it has to say next.
    private mutating func reply() {
        guard let number = self.anyStream(), let xml = self.streams[number]?.replies.first else { return }
        self.streams[number]?.replies.removeFirst()
        self.learn(self.side.receive(number, xml))
    }

    private mutating func takeOne() {
        guard let number = self.anyStream(), let item = self.streams[number]?.written.first else { return }
        self.streams[number]?.written.removeFirst()
        self.streams[number]?.taken.append(item)
        if case .stanza = item { self.learn(self.side.written(number, 1)) }
    }

    private mutating func readOne(_ mayDie: Bool) {
        guard let number = self.anyStream(), var stream = self.streams[number], let item = stream.taken.first else { return }
        stream.taken.removeFirst()
        switch item {
        case .request:
            // At times it answers before it has made everything its own; then it says so later by itself.
            let h = mayDie && self.chance(30) ? Int.random(in: stream.told...stream.read, using: &self.generator) : stream.read
            stream.told = h
            stream.replies.append("<a xmlns='urn:xmpp:sm:3' h='\(h)'/>")
        case .stanza(let stanza):
            let id = stanza.id.flatMap { Int($0) } ?? 0
            if self.bad.contains(id) {
                self.swallowed += stream.taken.count { if case .stanza = $0 { true } else { false } }
                self.streams[number] = stream
                // What it had made its own it acknowledges before it breaks off, or not.
                if stream.isManaged, self.chance(50) {
                    self.learn(self.side.receive(number, "<enabled xmlns='urn:xmpp:sm:3'/>"))
                    self.learn(self.side.receive(number, "<a xmlns='urn:xmpp:sm:3' h='\(stream.read)'/>"))
                }
                let error = "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                self.learn(self.side.receive(number, error))
                return
            }
            stream.read += 1
            if let last = stream.ids.last(where: { Self.pair($0) == Self.pair(id) }), last >= id {
                self.disorder.append("\(id) after \(last) on stream \(number)")
            }
            stream.ids.append(id)
            self.read.append(id)
        }
        self.streams[number] = stream
    }

    private mutating func die(_ number: UInt64) {
        guard let stream = self.streams.removeValue(forKey: number) else { return }
        self.swallowed += stream.taken.count { if case .stanza = $0 { true } else { false } }
        self.learn(self.side.closed(number))
    }

    var isAtRest: Bool { self.reports.count == self.sent }
}

/// A server that dials the bridge and sends, as Prosody does with `smacks_s2s_resend`: what was not acknowledged when a stream
/// dies goes out again on the next one, stamped with a delay. Beside it the bridge's core, which makes stanzas its own late
/// and at times not in order, and forgets what it had not made its own when the bridge dies.
struct ResendingServer: ~Copyable {
    var side: Transcript
    private var generator: SeededGenerator
    private var connection: UInt64 = 0
    private var isOpen = false
    private var waiting: Deque<(id: Int, isAgain: Bool)> = []
    private var unacknowledged: Deque<Int> = []
    private var acknowledged = 0
    /// What counts on this stream, in order.
    private var onStream: [Int] = []
    /// Counts that are on their way to the server.
    private var counts: Deque<Int> = []
    private var pending: [(receipt: LocalReceipt, id: Int)] = []
    private(set) var sent = 0
    private(set) var taken: [Int] = []
    private var fingerprints: [UInt64] = []
    private(set) var problems: [String] = []
    private(set) var deaths = 0
    private(set) var repeats: UInt64 = 0

    private static var configuration: LocalSideConfiguration { .site(encryption: .required, authentication: .certificate) }

    init(seed: UInt64) {
        self.side = Transcript(Self.configuration)
        self.generator = SeededGenerator(seed: seed)
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.generator) < percent }

    mutating func step(mayDie: Bool) {
        guard self.isOpen else {
            self.open()
            return
        }
        switch Int.random(in: 0..<100, using: &self.generator) {
        case 0..<10:
            guard mayDie else { return }
            self.sent += 1
            self.waiting.append((self.sent, false))
        case 10..<45: self.send()
        case 45..<55: self.learn(self.side.receive(self.connection, "<r xmlns='urn:xmpp:sm:3'/>"))
        case 55..<80: self.makeOwn()
        case 80..<92: self.hear()
        case 92..<96:
            while !self.counts.isEmpty { self.hear() }
            self.learn(self.side.wait(mayDie ? Int64.random(in: 0...2, using: &self.generator) : 1))
        case 96..<98: if mayDie { self.die() }
        default:
            if mayDie, self.chance(30) {
                self.die()
                self.restart()
            }
        }
    }

    private mutating func open() {
        self.connection += 1
        self.isOpen = true
        let number = self.connection
        self.learn(self.side.accept(number))
        self.learn(self.side.open(number))
        self.learn(self.side.receive(number, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        self.learn(self.side.tls(number, .naming("ship.example")))
        self.learn(self.side.open(number))
        self.learn(self.side.receive(number, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"))
        self.learn(self.side.open(number))
        self.learn(self.side.receive(number, "<enable xmlns='urn:xmpp:sm:3'/>"))
    }

    private mutating func send() {
        guard let (id, isAgain) = self.waiting.popFirst() else { return }
        let delay = isAgain ? "<delay xmlns='urn:xmpp:delay' from='ship.example' stamp='2026-11-21T05:00:00Z'/>" : ""
        self.unacknowledged.append(id)
        self.onStream.append(id)
        let stanza = element("<message from='a@ship.example' to='b@hq.example' id='\(id)'><body>x</body>\(delay)</message>")
        self.learn(self.side.receive(self.connection, stanza))
    }

    private mutating func learn(_ actions: [LocalAction]) {
        for action in actions {
            switch action {
            case .received(let stanza, let receipt):
                self.pending.append((receipt, stanza.id.flatMap { Int($0) } ?? 0))
                if let fingerprint = stanza.fingerprint { self.prints[receipt] = fingerprint }
            case .write(let id, let xml) where id.number == self.connection && xml.hasPrefix("<a "):
                guard let h = xml.components(between: " h='", and: "'").flatMap({ Int($0) }) else { continue }
                if let early = self.onStream.prefix(h).first(where: { !self.taken.contains($0) }) {
                    self.problems.append("\(early) was acknowledged before it was the bridge's own")
                }
                if h > self.onStream.count { self.problems.append("\(h) acknowledged of \(self.onStream.count)") }
                self.counts.append(h)
            case .write, .writeStanza, .startTLS, .restartReader, .authenticated, .dial, .close, .oversize, .delivered,
                .undeliverable, .streamOpened, .streamLost, .arm, .disarm, .note:
                break
            }
        }
    }

    private var prints: [LocalReceipt: UInt64] = [:]

    /// The core commits one of the stanzas that it has.
    private mutating func makeOwn() {
        guard !self.pending.isEmpty else { return }
        let index = self.chance(80) ? 0 : Int.random(in: 0..<self.pending.count, using: &self.generator)
        let (receipt, id) = self.pending.remove(at: index)
        self.taken.append(id)
        if let fingerprint = self.prints.removeValue(forKey: receipt) { self.fingerprints.append(fingerprint) }
        self.side.side.stanzaHandled(receipt, now: self.side.now)
        self.learn(self.side.draw())
    }

    /// A count reaches the server.
    private mutating func hear() {
        guard let h = self.counts.popFirst() else { return }
        guard h >= self.acknowledged else {
            self.problems.append("the count went back from \(self.acknowledged) to \(h)")
            return
        }
        self.unacknowledged.removeFirst(h - self.acknowledged)
        self.acknowledged = h
    }

    private mutating func die() {
        guard self.isOpen else { return }
        self.deaths += 1
        self.isOpen = false
        self.counts.removeAll()
        for id in self.unacknowledged.reversed() { self.waiting.prepend((id, true)) }
        self.unacknowledged.removeAll()
        self.acknowledged = 0
        self.onStream.removeAll()
        self.learn(self.side.closed(self.connection))
    }

    /// The bridge dies as well: what was not committed is gone, what was is in its journal.
    private mutating func restart() {
        self.repeats += self.side.side.snapshot.repeatedStanzas
        self.pending.removeAll()
        self.prints.removeAll()
        let now = self.side.now
        self.side = Transcript(Self.configuration, suspects: self.fingerprints.suffix(600).compactMap { StanzaMark($0) })
        self.learn(self.side.wait(Int64((now - .uptimeNanoseconds(0)).nanoseconds / 1_000_000_000)))
    }

    var isAtRest: Bool { self.waiting.isEmpty && self.pending.isEmpty && self.unacknowledged.isEmpty }
    var allRepeats: UInt64 { self.repeats + self.side.side.snapshot.repeatedStanzas }
}
