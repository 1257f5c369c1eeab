import NIOCore
import ServerStreams
import XMPP

/// Keys that can be read: they say what they are made of.
struct ReadableSecrets: ServerStreamSecrets {
    var salt = "key"

    func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String {
        "\(self.salt)|\(receiving)|\(originating)|\(streamID)"
    }

    func componentHandshake(streamID: String, secret: String) -> String { "sha1(\(streamID)\(secret))" }

    func equalInConstantTime(_ left: String, _ right: String) -> Bool { left == right }
}

extension Domain: ExpressibleByStringLiteral {
    /// Tests write domains as they are read.
    public init(stringLiteral text: StaticString) {
        guard let domain = Domain("\(text)") else { preconditionFailure("no domain: \(text)") }
        self = domain
    }
}

extension DomainPair {
    /// hq.example is the other site's, ship.example our server's.
    static let standard = DomainPair(remote: "hq.example", local: "ship.example")
    static let rooms = DomainPair(remote: "rooms.hq.example", local: "ship.example")
    static let conference = DomainPair(remote: "hq.example", local: "conference.ship.example")
}

extension NIODeadline {
    static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
}

extension LocalSideConfiguration {
    /// A site `ship.example` that reaches everything at and below `hq.example`.
    static func site(
        encryption: Encryption = .off, authentication: Authentication = .dialback
    ) -> LocalSideConfiguration {
        var configuration = LocalSideConfiguration(
            localDomains: ["ship.example", "conference.ship.example"],
            remoteDomains: ["hq.example", "*.hq.example"].compactMap { DomainPattern($0) })
        configuration.encryption = encryption
        configuration.authentication = authentication
        return configuration
    }

    /// The same seen from the server: what the bridge stands in for is remote there.
    static func server(
        encryption: Encryption = .off, authentication: Authentication = .dialback
    ) -> LocalSideConfiguration {
        var configuration = LocalSideConfiguration(
            localDomains: ["hq.example", "rooms.hq.example"],
            remoteDomains: ["ship.example", "conference.ship.example"].compactMap { DomainPattern($0) })
        configuration.encryption = encryption
        configuration.authentication = authentication
        return configuration
    }

    static func components(_ secrets: [Domain: String]) -> LocalSideConfiguration {
        var configuration = Self.site()
        configuration.attachment = .components(secrets)
        return configuration
    }
}

extension CertificateIdentities {
    static func naming(_ names: String...) -> CertificateIdentities {
        CertificateIdentities(isValid: true, dnsNames: names)
    }

    static func invalid(_ failure: String, naming names: String...) -> CertificateIdentities {
        CertificateIdentities(isValid: false, failure: failure, dnsNames: names)
    }
}

/// One child of a stream root, read by the real reader.
func element(_ xml: String, component: Bool = false) -> Stanza {
    let reader = StreamReader(limits: .local, root: .received)
    var header = StreamHeader(from: "a.example", to: "b.example")
    if component { header.contentNamespace = XMLNamespace.component }
    var buffer = ByteBuffer(string: header.openingTag() + xml)
    reader.read(&buffer)
    while let event = reader.nextEvent() {
        if case .stanza(let stanza) = event { return stanza }
        if case .failed(let error) = event { preconditionFailure("not readable (\(error)): \(xml)") }
    }
    preconditionFailure("no element: \(xml)")
}

func message(from: String, to: String, _ body: String = "hello", attributes: String = "") -> Stanza {
    element("<message to='\(to)' from='\(from)' \(attributes)><body>\(body)</body></message>")
}

/// A ``LocalSide`` with what it wanted done, as text that can be compared at a glance.
struct Transcript: ~Copyable {
    var side: LocalSide
    var now = NIODeadline.at(0)
    /// Everything drawn so far, timers and notes left out.
    private(set) var actions: [LocalAction] = []
    private(set) var notes: [LocalNote] = []
    private(set) var timer: NIODeadline?
    /// Domains of the site that were seen (+) and lost (-).
    private(set) var domains: [String] = []

    init(
        _ configuration: LocalSideConfiguration = .site(), secrets: any ServerStreamSecrets = ReadableSecrets(),
        suspects: [StanzaMark] = []
    ) {
        self.side = LocalSide(configuration: configuration, secrets: secrets, suspects: suspects)
        self.side.started(now: self.now)
    }

    /// Draws all actions and returns those that are new.
    @discardableResult
    mutating func draw() -> [LocalAction] {
        var new: [LocalAction] = []
        while let action = self.side.nextAction() {
            switch action {
            case .note(let note): self.notes.append(note)
            case .arm(let deadline): self.timer = deadline
            case .disarm: self.timer = nil
            case .streamOpened(let domain): self.domains.append("+\(domain)")
            case .streamLost(let domain): self.domains.append("-\(domain)")
            case .write, .writeStanza, .startTLS, .restartReader, .authenticated, .dial, .close, .received, .oversize,
                .undeliverable, .delivered:
                new.append(action)
            }
        }
        self.actions += new
        return new
    }

    mutating func accept(_ number: UInt64) -> [LocalAction] {
        self.side.connectionAccepted(ConnectionID(number: number), now: self.now)
        return self.draw()
    }

    mutating func open(
        _ number: UInt64, from: String? = "ship.example", to: String? = "hq.example", id: String? = nil,
        version: String? = "1.0", namespace: String = XMLNamespace.server, streamID: String = "fresh"
    ) -> [LocalAction] {
        let header = StreamHeader(from: from, to: to, id: id, version: version, contentNamespace: namespace)
        self.side.streamOpened(ConnectionID(number: number), header: header, streamID: streamID, now: self.now)
        return self.draw()
    }

    mutating func receive(_ number: UInt64, _ xml: String) -> [LocalAction] {
        self.receive(number, element(xml))
    }

    mutating func receive(_ number: UInt64, _ stanza: Stanza) -> [LocalAction] {
        self.side.stanzaReceived(ConnectionID(number: number), stanza, now: self.now)
        return self.draw()
    }

    mutating func tls(_ number: UInt64, _ peer: CertificateIdentities?) -> [LocalAction] {
        self.side.tlsEstablished(ConnectionID(number: number), peer: peer, now: self.now)
        return self.draw()
    }

    mutating func deliver(_ stanza: Stanza, ticket: UInt64? = nil) -> [LocalAction] {
        self.side.deliver(stanza, ticket: ticket.map { DeliveryTicket(peer: 1, id: $0) }, now: self.now)
        return self.draw()
    }

    /// The core made a stanza its own.
    mutating func handled(_ number: UInt64, _ stanzas: ClosedRange<UInt64>) -> [LocalAction] {
        for stanza in stanzas {
            self.side.stanzaHandled(LocalReceipt(connection: number, number: stanza), now: self.now)
        }
        return self.draw()
    }

    /// The kernel took this many stanzas.
    mutating func written(_ number: UInt64, _ count: Int) -> [LocalAction] {
        self.side.stanzasWritten(ConnectionID(number: number), count: count, now: self.now)
        return self.draw()
    }

    mutating func dialed(_ token: UInt64, _ number: UInt64) -> [LocalAction] {
        self.side.dialSucceeded(
            DialToken(number: token), connection: ConnectionID(number: number), now: self.now)
        return self.draw()
    }

    mutating func dialFailed(_ token: UInt64, _ reason: String = "connection refused") -> [LocalAction] {
        self.side.dialFailed(DialToken(number: token), reason: reason, now: self.now)
        return self.draw()
    }

    mutating func closed(_ number: UInt64) -> [LocalAction] {
        self.side.connectionClosed(ConnectionID(number: number), now: self.now)
        return self.draw()
    }

    /// Lets time pass and calls the machine whenever it asked to be called.
    mutating func wait(_ seconds: Int64) -> [LocalAction] {
        let end = self.now + .seconds(seconds)
        var new: [LocalAction] = []
        var turns = 0
        while let timer, timer <= end {
            turns += 1
            precondition(turns < 10_000, "the machine asks for the same time again and again")
            self.now = max(timer, self.now)
            self.timer = nil
            self.side.deadlineReached(now: self.now)
            new += self.draw()
        }
        self.now = end
        return new
    }

    func noted(_ kind: LocalNote.Kind) -> [LocalNote] { self.notes.filter { $0.kind == kind } }
}

extension [LocalAction] {
    /// What was written to a connection, stanzas included.
    func written(_ number: UInt64) -> String {
        self.map { action -> String in
            switch action {
            case .write(let id, let xml) where id.number == number: xml
            case .writeStanza(let id, let stanza) where id.number == number: stanza.text
            default: ""
            }
        }.joined()
    }

    var received: [Stanza] {
        self.compactMap { if case .received(let stanza, _) = $0 { stanza } else { nil } }
    }

    var delivered: [UInt64] {
        self.flatMap { if case .delivered(let tickets) = $0 { tickets.map(\.id) } else { [UInt64]() } }
    }

    var tickets: [UInt64] {
        self.compactMap { if case .undeliverable(_, let ticket, _, _) = $0 { ticket?.id } else { nil } }
    }

    var dials: [UInt64] {
        self.compactMap { if case .dial(let token) = $0 { token.number } else { nil } }
    }

    var closes: [UInt64] {
        self.compactMap { if case .close(let id) = $0 { id.number } else { nil } }
    }

    var undeliverable: [(stanza: Stanza, condition: StanzaErrorCondition)] {
        self.compactMap {
            if case .undeliverable(let stanza, _, let condition, _) = $0 { (stanza, condition) } else { nil }
        }
    }
}
