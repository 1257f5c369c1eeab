import NIOCore
import ServerStreams
import XMPP

/// What must hold of the local side for any input whatever.
///
/// The bytes drive real readers and a ``LocalSide`` in both roles: as the server's receiving and authoritative server, and
/// as the one that dials it. The first byte chooses the policy; then each step is one byte that says what happens and one
/// that says how. A crash is a finding, and so is a stanza that is taken before its pair was proved.
enum DialbackProperties {
    /// - Returns: what does not hold, or nil; and how many stanzas were taken, so that a seed can be shown to mean something.
    static func check(_ input: [UInt8]) -> (violation: String?, received: Int) {
        var input = input[...]
        guard let policy = input.popFirst() else { return (nil, 0) }
        var driver = Driver(policy: policy)
        var steps = 0
        while !input.isEmpty, steps < 512, driver.violation == nil {
            driver.step(&input)
            steps += 1
        }
        return (driver.violation, driver.received)
    }
}

/// Keys that the fuzzer can guess, so that it gets past them.
private struct GuessableSecrets: ServerStreamSecrets {
    func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String { "k\(streamID)" }
    func componentHandshake(streamID: String, secret: String) -> String { "h\(streamID)" }
    func equalInConstantTime(_ left: String, _ right: String) -> Bool { left == right }
}

private struct Proof: Hashable {
    var connection: ConnectionID
    var remote: String
    var local: String
}

private struct Driver: ~Copyable {
    private var side: LocalSide
    private var readers: [ConnectionID: StreamReader] = [:]
    private var order: [ConnectionID] = []
    private var dials: [DialToken] = []
    private var proofs: Set<Proof> = []
    private var headers: [ConnectionID: (remote: String, local: String)] = [:]
    private var next: UInt64 = 1
    private var now = NIODeadline.uptimeNanoseconds(0)
    private let isComponent: Bool
    private(set) var violation: String?
    private(set) var received = 0

    init(policy: UInt8) {
        var configuration = LocalSideConfiguration(
            localDomains: ["ship.example", "conference.ship.example"].compactMap { Domain($0) },
            remoteDomains: ["hq.example", "*.hq.example"].compactMap { DomainPattern($0) })
        configuration.encryption = [.off, .optional, .required][Int(policy) % 3]
        configuration.authentication = [.dialback, .certificateOrDialback, .certificate][Int(policy / 3) % 3]
        configuration.multiplexesSenderDomains = policy & 0x40 != 0
        configuration.maximumInboundConnections = 6
        configuration.maximumRoutes = 6
        self.isComponent = policy & 0x80 != 0
        if self.isComponent, let domain = Domain(Substring("hq.example")) { configuration.attachment = .components([domain: "s"]) }
        self.side = LocalSide(configuration: configuration, secrets: GuessableSecrets())
        self.side.started(now: self.now)
        self.perform(on: nil)
    }

    /// Canned input that would take the fuzzer long to find; `r` and `l` are the pair that the step chose.
    private static func canned(_ choice: UInt8, _ remote: String, _ local: String, id: String) -> String {
        switch choice % 20 {
        case 0: StreamHeader(from: local, to: remote, id: id).openingTag()
        case 1: StreamHeader(from: local, to: remote, id: id, version: nil).openingTag()
        case 2: "<db:result from='\(local)' to='\(remote)'>k</db:result>"
        case 3: "<db:result from='\(local)' to='\(remote)' type='valid'/>"
        case 4: "<db:verify from='\(local)' to='\(remote)' id='\(id)' type='valid'/>"
        case 5: "<db:verify from='\(local)' to='\(remote)' id='\(id)'>k\(id)</db:verify>"
        case 6: "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        case 7: "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        case 8: "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"
        case 9: "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
        case 10: "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>"
        case 11: "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
        case 12:
            "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism>"
                + "</mechanisms></stream:features>"
        case 13: "<message from='a@\(local)' to='b@\(remote)'><body>x</body></message>"
        case 14: "<iq type='get' id='1' from='\(local)' to='\(remote)'><ping xmlns='urn:xmpp:ping'/></iq>"
        case 15: "<db:result from='\(local)' to='\(remote)' type='invalid'/>"
        case 16: "<handshake/>"
        case 17: "</stream:stream>"
        case 18:
            StreamHeader(to: remote, id: id, version: nil, contentNamespace: XMLNamespace.component).openingTag()
        default: "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
        }
    }

    mutating func step(_ input: inout ArraySlice<UInt8>) {
        guard let op = input.popFirst() else { return }
        let argument = input.popFirst() ?? 0
        let remote = ["hq.example", "rooms.hq.example", "evil.example", "ship.example"][Int(argument >> 6)]
        let local = ["ship.example", "conference.ship.example", "hq.example", "evil.example"][Int(argument >> 4) & 3]
        switch op % 12 {
        case 0: self.accept()
        case 1, 2, 3:
            guard let id = self.pick(argument) else { return }
            // The ids of both sides follow from the number, so the fuzzer can name them.
            let about = self.order.isEmpty ? id : self.order[Int(op) % self.order.count]
            self.feed(id, Array(Self.canned(op / 12, remote, local, id: "i\(about.number)").utf8))
        case 4:
            guard let id = self.pick(argument) else { return }
            let bytes = Array(input.prefix(Int(op / 12) * 3 + 1))
            input = input.dropFirst(bytes.count)
            self.feed(id, bytes)
        case 5: self.answerDial(succeeds: argument & 1 == 0)
        case 6:
            guard let id = self.pick(argument) else { return }
            let names = argument & 0x10 == 0 ? [local] : ["evil.example"]
            self.side.tlsEstablished(
                id, peer: CertificateIdentities(isValid: argument & 0x20 == 0, dnsNames: names), now: self.now)
            self.perform(on: id)
        case 7:
            guard let id = self.pick(argument) else { return }
            self.side.writabilityChanged(id, isWritable: argument & 0x10 == 0, now: self.now)
            self.perform(on: id)
        case 8:
            guard let id = self.pick(argument) else { return }
            self.drop(id)
        case 9:
            var writer = StanzaWriter()
            writer.start("message", XMLNamespace.server, [("from", "b@" + remote), ("to", "a@" + local)])
            writer.end()
            self.side.deliver(writer.finish(), now: self.now)
            self.perform(on: nil)
        case 10:
            self.now = self.now + .seconds(Int64(argument))
            self.side.deadlineReached(now: self.now)
            self.perform(on: nil)
        default:
            guard argument == 0xFF else { return }
            self.side.shutdownRequested(now: self.now)
            self.perform(on: nil)
        }
    }

    private func pick(_ argument: UInt8) -> ConnectionID? {
        self.order.isEmpty ? nil : self.order[Int(argument & 0x0F) % self.order.count]
    }

    private mutating func newConnection() -> ConnectionID {
        let id = ConnectionID(number: self.next)
        self.next += 1
        self.readers[id] = StreamReader(limits: .beforeAuthentication, root: .received)
        self.order.append(id)
        return id
    }

    private mutating func accept() {
        guard self.order.count < 12 else { return }
        self.side.connectionAccepted(self.newConnection(), now: self.now)
        self.perform(on: nil)
    }

    private mutating func answerDial(succeeds: Bool) {
        guard !self.dials.isEmpty else { return }
        let token = self.dials.removeFirst()
        if succeeds {
            self.side.dialSucceeded(token, connection: self.newConnection(), now: self.now)
        } else {
            self.side.dialFailed(token, reason: "no", now: self.now)
        }
        self.perform(on: nil)
    }

    private mutating func drop(_ id: ConnectionID) {
        self.order.removeAll { $0 == id }
        self.readers[id] = nil
        self.headers[id] = nil
        self.proofs = self.proofs.filter { $0.connection != id }
        self.side.connectionClosed(id, now: self.now)
        self.perform(on: nil)
    }

    private mutating func feed(_ id: ConnectionID, _ bytes: [UInt8]) {
        guard let reader = self.readers[id] else { return }
        var buffer = ByteBuffer(bytes: bytes)
        reader.read(&buffer)
        while let event = reader.nextEvent() {
            switch event {
            case .opened(let header):
                self.side.streamOpened(id, header: header, streamID: "i\(id.number)", now: self.now)
            case .stanza(let stanza): self.side.stanzaReceived(id, stanza, now: self.now)
            case .oversize(let stub, _): self.side.oversizeReceived(id, stub, now: self.now)
            case .closed: self.side.streamClosed(id, now: self.now)
            case .failed(let error): self.side.streamFailed(id, error, now: self.now)
            }
            self.perform(on: id)
        }
    }

    private mutating func perform(on current: ConnectionID?) {
        while let action = self.side.nextAction() {
            switch action {
            case .write(let id, let xml): self.wrote(id, xml)
            case .restartReader(let id): self.readers[id]?.reset()
            case .authenticated(let id): self.readers[id]?.setLimits(.local)
            case .dial(let token): self.dials.append(token)
            case .received(let stanza, _), .oversize(let stanza): self.check(stanza, on: current)
            case .undeliverable(let stanza, _, _, _):
                if stanza.isError { self.violation = "an error for an error" }
            case .writeStanza, .startTLS, .close, .arm, .disarm, .note, .delivered, .streamOpened, .streamLost: break
            }
        }
    }

    /// A stanza is taken only on a stream on which the machine itself declared its pair proved.
    private mutating func check(_ stanza: Stanza, on current: ConnectionID?) {
        self.received += 1
        guard let current, let from = stanza.fromDomain, let to = stanza.toDomain else {
            self.violation = "a stanza without a stream or addresses was taken"
            return
        }
        if self.isComponent {
            if to.string != "hq.example" { self.violation = "a component took a stanza of another's" }
        } else if !self.proofs.contains(Proof(connection: current, remote: to.string, local: from.string)) {
            self.violation = "an unproved stanza was taken"
        }
    }

    private mutating func wrote(_ id: ConnectionID, _ xml: String) {
        func value(_ name: String) -> String? {
            guard let start = xml.firstRange(of: " \(name)='")?.upperBound else { return nil }
            return String(xml[start...].prefix { $0 != "'" })
        }
        if xml.hasPrefix("<?xml") {
            if let remote = value("from"), let local = value("to") { self.headers[id] = (remote, local) }
        } else if xml.hasPrefix("<success"), let pair = self.headers[id] {
            self.proofs.insert(Proof(connection: id, remote: pair.remote, local: pair.local))
        } else if xml.hasPrefix("<db:result"), xml.hasSuffix("type='valid'/>"), let remote = value("from"),
            let local = value("to")
        {
            self.proofs.insert(Proof(connection: id, remote: remote, local: local))
        }
    }
}
