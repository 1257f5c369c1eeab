import NIOCore
import ServerStreams
import TestSupport
import XMPP

/// Throws seeded random inputs at a ``LocalSide`` – any input in any state, sensible or not – and keeps its own books of
/// what may happen. Whatever contradicts them is a violation.
struct Gauntlet: ~Copyable {
    private struct Claim: Hashable {
        var connection: UInt64
        var pair: DomainPair
    }

    var side: LocalSide
    var generator: SeededGenerator
    var now = NIODeadline.at(0)
    private(set) var violations: [String] = []
    private(set) var receivedCount = 0
    private(set) var writtenCount = 0
    private(set) var inputs: [String] = []

    private let configuration: LocalSideConfiguration
    private var nextConnection: UInt64 = 1
    private var live: [UInt64] = []
    private var outbound: Set<UInt64> = []
    private var dials: [UInt64] = []
    private var closedByMachine: Set<UInt64> = []
    private var headers: [UInt64: DomainPair] = [:]
    /// Pairs that the bridge itself declared proved, by what it wrote.
    private var proved: Set<Claim> = []
    /// What a decent peer would answer next, and on which connections TLS is up.
    private var lastWritten: [UInt64: String] = [:]
    private var encrypted: Set<UInt64> = []
    /// Pairs that may be written, by what the server said.
    private var writable: Set<Claim> = []
    private var unsent: [UInt64: [Stanza]] = [:]
    private var accepted = 0
    private var settled = 0

    private static let domains = [
        "ship.example", "conference.ship.example", "hq.example", "rooms.hq.example", "evil.example",
    ]

    init(_ configuration: LocalSideConfiguration, seed: UInt64) {
        self.configuration = configuration
        self.side = LocalSide(configuration: configuration, secrets: ReadableSecrets())
        self.generator = SeededGenerator(seed: seed)
        self.side.started(now: self.now)
        self.draw(after: nil)
    }

    private mutating func pick<T>(_ values: [T]) -> T {
        values[Int.random(in: 0..<values.count, using: &self.generator)]
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.generator) < percent }

    private mutating func connection() -> UInt64 {
        self.live.isEmpty || self.chance(2) ? UInt64.random(in: 0...99, using: &self.generator) : self.pick(self.live)
    }

    /// One random input.
    mutating func step() {
        let number = self.connection()
        let id = ConnectionID(number: number)
        if self.chance(80) {
            self.helpfulStep()
            self.checkBooks()
            return
        }
        switch Int.random(in: 0..<100, using: &self.generator) {
        case 0..<6: self.accept()
        case 6..<14: self.dialAnswered()
        case 14..<26: self.open(number)
        case 26..<34: self.feed(number, self.likelyElement(number))
        case 34..<62: self.feed(number, self.randomElement(number))
        case 62..<70: self.feed(number, self.randomStanza(local: true))
        case 70..<80: self.deliver()
        case 80..<84:
            let peer: CertificateIdentities? = self.pick([
                nil, .naming("ship.example", "conference.ship.example"), .naming("evil.example"),
                .invalid("expired", naming: "ship.example"),
            ])
            self.log("tls \(number) \(peer?.isValid ?? false)")
            self.side.tlsEstablished(id, peer: peer, now: self.now)
        case 84..<87:
            self.log("writability \(number)")
            self.side.writabilityChanged(id, isWritable: self.chance(60), now: self.now)
        case 87..<91: self.connectionClosed(number)
        case 91..<93:
            self.log("stream closed \(number)")
            self.side.streamClosed(id, now: self.now)
        case 93..<94:
            self.log("stream failed \(number)")
            self.side.streamFailed(id, StreamError(self.pick(StreamErrorCondition.allCases)), now: self.now)
        case 94..<95:
            self.log("oversize \(number)")
            self.side.oversizeReceived(id, self.randomStanza(local: true), now: self.now)
        case 95..<99:
            self.now = self.now + .milliseconds(Int64.random(in: 0...20_000, using: &self.generator))
            self.log("time")
            self.side.deadlineReached(now: self.now)
        default:
            if self.chance(3) {
                self.log("shutdown")
                self.side.shutdownRequested(now: self.now)
            }
        }
        self.draw(after: number)
        self.checkBooks()
    }

    /// What a decent server would do next, so that the deeper states are reached as well.
    private mutating func helpfulStep() {
        if !self.dials.isEmpty, self.chance(50) {
            self.dialAnswered()
            self.draw(after: nil)
            return
        }
        let usable = self.live.filter { !self.closedByMachine.contains($0) }
        if usable.isEmpty, self.chance(30) {
            self.now = self.now + .seconds(61)
            self.log("a minute")
            self.side.deadlineReached(now: self.now)
            self.draw(after: nil)
            return
        }
        guard let number = usable.randomElement(using: &self.generator), usable.count > 2 || self.chance(70) else {
            if self.chance(50), self.configuration.attachment == .server { self.accept() } else { self.deliver() }
            self.draw(after: nil)
            return
        }
        if self.live.count > 6, let first = self.live.first {
            self.connectionClosed(first)
            self.draw(after: nil)
            return
        }
        self.answer(number, self.lastWritten[number] ?? "")
        self.draw(after: number)
    }

    /// Answers what was last written on a connection.
    private mutating func answer(_ number: UInt64, _ last: String) {
        let id = ConnectionID(number: number)
        let isOurs = self.outbound.contains(number)
        if last.isEmpty || last.hasPrefix("<success") || (isOurs && last.hasPrefix("<?xml")) {
            var header = StreamHeader(from: "ship.example", to: "hq.example", id: "srv\(number)")
            if isOurs, let pair = self.headers[number] { header.from = pair.local.string }
            if self.configuration.attachment != .server { header.contentNamespace = XMLNamespace.component }
            self.log("open \(number) as it should be")
            self.side.streamOpened(id, header: header, streamID: "id\(number)", now: self.now)
            self.lastWritten[number] = isOurs ? "opened" : self.lastWritten[number]
        } else if last.hasPrefix("starting TLS") {
            self.log("tls \(number) as it should be")
            self.lastWritten[number] = ""
            self.side.tlsEstablished(
                id, peer: .naming("ship.example", "conference.ship.example"), now: self.now)
        } else if last == "opened" {
            let offer =
                self.encrypted.contains(number)
                ? "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"
                : "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
            self.lastWritten[number] = "done"
            let dialback = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
            self.feed(number, element("<stream:features>\(offer)\(dialback)</stream:features>"))
        } else if isOurs, last.hasPrefix("<starttls") {
            self.feed(number, element("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        } else if isOurs, last.hasPrefix("<auth") {
            self.feed(number, element("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"))
        } else if isOurs, last.hasPrefix("<handshake") {
            self.lastWritten[number] = "done"
            self.feed(number, element("<handshake/>", component: true))
        } else if isOurs, let pair = self.pair(in: last), !last.contains("type=") {
            let id = last.components(between: " id='", and: "'").map { " id='\($0)'" } ?? ""
            let name = last.hasPrefix("<db:verify") ? "verify" : "result"
            self.lastWritten[number] = "done"
            self.feed(number, element("<db:\(name) from='\(pair.local)' to='\(pair.remote)'\(id) type='valid'/>"))
        } else if !isOurs, last.contains("EXTERNAL"), self.chance(70) {
            self.feed(number, element("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"))
        } else if !isOurs, last.contains("<starttls"), self.configuration.encryption == .required || self.chance(60) {
            self.feed(number, element("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"))
        } else if !isOurs, self.proved.contains(where: { $0.connection == number })
            || (self.configuration.attachment != .server)
        {
            self.feed(number, message(from: "u@ship.example", to: "v@hq.example"))
        } else if !isOurs {
            self.feed(number, element("<db:result from='ship.example' to='hq.example'>k</db:result>"))
        } else if self.configuration.attachment != .server, self.chance(50) {
            self.feed(number, element("<message from='u@ship.example' to='v@hq.example'/>", component: true))
        } else {
            self.deliver()
        }
    }

    private mutating func log(_ text: String) {
        self.inputs.append(text)
        if self.inputs.count > 60 { self.inputs.removeFirst(20) }
    }

    private mutating func accept() {
        let number = self.nextConnection
        self.nextConnection += 1
        self.live.append(number)
        self.log("accept \(number)")
        self.side.connectionAccepted(ConnectionID(number: number), now: self.now)
    }

    private mutating func dialAnswered() {
        let token = self.dials.isEmpty ? 77_777 : self.dials.removeFirst()
        if self.chance(25) {
            self.log("dial failed \(token)")
            self.side.dialFailed(DialToken(number: token), reason: "no", now: self.now)
        } else {
            let number = self.nextConnection
            self.nextConnection += 1
            self.live.append(number)
            self.outbound.insert(number)
            self.log("dialed \(token) as \(number)")
            self.side.dialSucceeded(
                DialToken(number: token), connection: ConnectionID(number: number), now: self.now)
        }
    }

    private mutating func open(_ number: UInt64) {
        let isOurs = self.outbound.contains(number)
        var header = StreamHeader(
            from: self.chance(80) ? "ship.example" : self.pick(Self.domains + ["", "x y"]),
            to: self.chance(80) ? "hq.example" : self.pick(Self.domains + [""]),
            id: self.chance(95) ? "srv\(number)" : nil, version: self.pick(["1.0", "1.0", "1.0", nil, "0.9", "2.0", "x"]))
        if isOurs, let pair = self.headers[number], self.chance(90) {
            header.from = pair.local.string
            header.version = "1.0"
        }
        if self.chance(3) { header.contentNamespace = XMLNamespace.component }
        self.log("open \(number) \(header.from ?? "-") \(header.to ?? "-") \(header.version ?? "-")")
        self.side.streamOpened(
            ConnectionID(number: number), header: header, streamID: "id\(number)", now: self.now)
    }

    private mutating func feed(_ number: UInt64, _ stanza: Stanza) {
        self.log("feed \(number) \(stanza.text.prefix(160))")
        self.learn(number, stanza.text)
        self.side.stanzaReceived(ConnectionID(number: number), stanza, now: self.now)
    }

    /// What the server says that lets the bridge write.
    private mutating func learn(_ number: UInt64, _ xml: String) {
        guard self.outbound.contains(number) else { return }
        if xml.hasPrefix("<result xmlns='jabber:server:dialback'"), xml.contains("type='valid'") {
            for remote in Self.domains { for local in Self.domains {
                if xml.contains("from='\(local)'"), xml.contains("to='\(remote)'"), let remote = Domain(remote),
                    let local = Domain(local)
                {
                    self.writable.insert(Claim(connection: number, pair: DomainPair(remote: remote, local: local)))
                }
            } }
        } else if xml.hasPrefix("<success"), let pair = self.headers[number] {
            self.writable.insert(Claim(connection: number, pair: pair))
        }
    }

    private mutating func deliver() {
        let stanza = self.randomStanza(local: false)
        self.log("deliver \(stanza.text.prefix(100))")
        self.accepted += 1
        self.side.deliver(stanza, now: self.now)
    }

    private mutating func connectionClosed(_ number: UInt64) {
        guard self.live.contains(number) else { return }
        self.live.removeAll { $0 == number }
        let written = self.unsent.removeValue(forKey: number) ?? []
        let unsent = Array(written.suffix(Int.random(in: 0...written.count, using: &self.generator)))
        self.settled -= unsent.count
        self.log("closed \(number), \(unsent.count) unsent")
        let id = ConnectionID(number: number)
        self.side.stanzasWritten(id, count: written.count - unsent.count, now: self.now)
        self.side.connectionClosed(id, now: self.now)
        self.lastWritten[number] = nil
        self.proved = self.proved.filter { $0.connection != number }
        self.writable = self.writable.filter { $0.connection != number }
    }

    private mutating func draw(after number: UInt64?) {
        while let action = self.side.nextAction() {
            switch action {
            case .write(let id, let xml): self.wrote(id.number, xml)
            case .writeStanza(let id, let stanza):
                self.refuseClosed(id.number, "stanza")
                self.writtenCount += 1
                self.settled += 1
                self.unsent[id.number, default: []].append(stanza)
                let isAllowed = self.writable.contains {
                    $0.connection == id.number && stanza.fromDomainEquals($0.pair.remote)
                        && stanza.toDomainEquals($0.pair.local)
                }
                let isComponent = self.configuration.attachment != .server
                if !isAllowed, !isComponent { self.violate("wrote a stanza that nobody authorised on \(id)") }
            case .received(let stanza, _), .oversize(let stanza):
                self.receivedCount += 1
                let isProved = self.proved.contains {
                    $0.connection == number && stanza.fromDomainEquals($0.pair.local)
                        && stanza.toDomainEquals($0.pair.remote)
                }
                let isComponent = self.configuration.attachment != .server
                if !isProved, !isComponent { self.violate("received an unproved stanza on \(number ?? 0)") }
                guard let from = stanza.fromDomain, let to = stanza.toDomain, self.configuration.isLocal(from),
                    self.configuration.standsInFor(to)
                else {
                    self.violate("received a foreign stanza")
                    continue
                }
            case .undeliverable(let stanza, _, _, _):
                self.settled += 1
                if stanza.isError || stanza.isIQAnswer { self.violate("an error for an error") }
            case .note(let note):
                if note.kind == .stanzaDiscarded { self.settled += 1 }
                if note.text.utf8.contains(where: { $0 < 0x20 }) { self.violate("control character in a note") }
            case .dial(let token): self.dials.append(token.number)
            case .close(let id): self.closedByMachine.insert(id.number)
            case .startTLS(let id, _, _, _):
                self.refuseClosed(id.number, "TLS")
                self.lastWritten[id.number] = "starting TLS"
                self.encrypted.insert(id.number)
            case .restartReader(let id), .authenticated(let id):
                self.refuseClosed(id.number, "action")
            case .arm, .disarm, .delivered, .streamOpened, .streamLost: break
            }
        }
    }

    private mutating func wrote(_ number: UInt64, _ xml: String) {
        self.refuseClosed(number, xml)
        // Everything that is written must be readable, as its own or under a header.
        guard xml != " ", !xml.hasPrefix("</") else { return }
        self.lastWritten[number] = xml
        if xml.hasPrefix("<?xml") {
            if let pair = self.pair(in: xml) { self.headers[number] = pair }
        }
        if xml.hasPrefix("<success"), let pair = self.headers[number] {
            self.proved.insert(Claim(connection: number, pair: pair))
        }
        if xml.hasPrefix("<db:result"), xml.hasSuffix("type='valid'/>"), let pair = self.pair(in: xml) {
            self.proved.insert(Claim(connection: number, pair: pair))
        }
    }

    /// The pair of an element of the bridge's own, which always speaks from the remote domain.
    private func pair(in xml: String) -> DomainPair? {
        func value(_ name: String) -> Domain? {
            let parts = xml.components(between: " \(name)='", and: "'")
            return parts.flatMap { Domain($0) }
        }
        guard let remote = value("from"), let local = value("to") else { return nil }
        return DomainPair(remote: remote, local: local)
    }

    private mutating func refuseClosed(_ number: UInt64, _ what: String) {
        if self.closedByMachine.contains(number) { self.violate("wrote after close on \(number): \(what.prefix(60))") }
    }

    private mutating func violate(_ text: String) {
        self.violations.append(text)
    }

    /// Every stanza that was handed in is written, given back, counted as discarded, or waiting.
    private mutating func checkBooks() {
        let waiting = self.side.snapshot.queuedStanzas
        if self.accepted != self.settled + waiting {
            self.violate("\(self.accepted) accepted, \(self.settled) settled, \(waiting) waiting")
            self.accepted = self.settled + waiting
        }
    }

    // MARK: Material

    /// The element that a decent peer might send next.
    private mutating func likelyElement(_ number: UInt64) -> Stanza {
        if self.outbound.contains(number) {
            let pair = self.headers[number] ?? .standard
            return element(
                self.pick([
                    "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>",
                    "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
                    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                        + "<mechanism>EXTERNAL</mechanism></mechanisms></stream:features>",
                    "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                    "<db:result from='\(pair.local)' to='\(pair.remote)' type='valid'/>",
                    "<db:verify from='\(pair.local)' to='\(pair.remote)' id='id\(self.connection())' type='valid'/>",
                ]))
        }
        return element(
            self.pick([
                "<db:result from='ship.example' to='hq.example'>k</db:result>",
                "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>",
                "<db:verify from='ship.example' to='hq.example' id='1'>k</db:verify>",
            ]))
    }

    private mutating func randomElement(_ number: UInt64) -> Stanza {
        let from = self.pick(Self.domains)
        let to = self.pick(Self.domains)
        let type = self.pick(["", " type='valid'", " type='invalid'", " type='error'", " type='odd'"])
        let inner = self.pick(["", "k", "<error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"])
        let conditions = StreamErrorCondition.allCases.map(\.rawValue)
        return element(
            self.pick([
                "<db:result from='\(from)' to='\(to)'\(type)>\(inner)</db:result>",
                "<db:verify from='\(from)' to='\(to)' id='id\(self.connection())'\(type)>\(inner)</db:verify>",
                "<db:result\(type)/>", "<db:verify/>", "<db:else/>", "<stream:features/>", "<unknown xmlns='urn:x'/>",
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AA==</auth>",
                "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
                "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<handshake/>",
                "<stream:error><\(self.pick(conditions)) xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                    + "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a\u{9}b\nc</text></stream:error>",
            ]))
    }

    private mutating func randomStanza(local: Bool) -> Stanza {
        let (ours, theirs) = local ? ("ship.example", "hq.example") : ("hq.example", "ship.example")
        let from = self.chance(80) ? ours : self.pick(Self.domains)
        let to = self.chance(80) ? theirs : self.pick(Self.domains)
        let kind = self.pick(["message", "presence", "iq"])
        let type = self.pick(["", " type='error'", " type='result'", " type='get'"])
        if self.chance(3) { return element("<\(kind)\(type)/>") }
        return element("<\(kind) from='u@\(from)/r' to='v@\(to)' id='1'\(type)><x xmlns='urn:x'/></\(kind)>")
    }
}

extension String {
    /// The text between the first `opening` and the next `closing`.
    func components(between opening: String, and closing: String) -> String? {
        guard let start = self.firstRange(of: opening)?.upperBound else { return nil }
        let rest = self[start...]
        guard let end = rest.firstRange(of: closing)?.lowerBound else { return nil }
        return String(rest[..<end])
    }
}
