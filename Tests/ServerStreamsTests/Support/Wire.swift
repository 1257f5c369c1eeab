import NIOCore
import ServerStreams
import TestSupport
import XMPP

/// Two machines, each the other's server, joined by readers and byte queues. Bytes arrive in pieces of seeded size, in a
/// seeded order of connections; TLS is played by handing each side the certificate that the other one shows.
struct Wire: ~Copyable {
    enum Which: Int, CaseIterable {
        case bridge, server
        var other: Which { self == .bridge ? .server : .bridge }
    }

    final class End {
        let which: Which
        let id: ConnectionID
        let reader = StreamReader(limits: .beforeAuthentication, root: .received)
        var inbox: [UInt8] = []
        var peer: End?
        /// The domain whose certificate is shown, once TLS was asked for.
        var shows: Domain?
        var isOpen = true
        var peerHasClosed = false
        /// Stanzas that were written and not yet taken from the peer's inbox, with the bytes still before their end.
        var bytesWritten = 0

        init(_ which: Which, _ id: ConnectionID) {
            self.which = which
            self.id = id
        }
    }

    var bridge: LocalSide
    var server: LocalSide
    var generator: SeededGenerator
    var now = NIODeadline.at(0)
    var ends: [End] = []
    var nextConnection: UInt64 = 1
    var nextStreamID: UInt64 = 1
    var largestPiece = 7
    var certificate: (Domain) -> CertificateIdentities? = { .naming($0.string) }
    var canDial: (Which) -> Bool = { _ in true }
    private(set) var received: [Which: [Stanza]] = [.bridge: [], .server: []]
    private(set) var undeliverable: [Which: [Stanza]] = [.bridge: [], .server: []]
    private(set) var notes: [Which: [LocalNote]] = [.bridge: [], .server: []]
    private(set) var timers: [Which: NIODeadline] = [:]
    private(set) var dials: [Which: Int] = [.bridge: 0, .server: 0]

    init(
        bridge: LocalSideConfiguration, server: LocalSideConfiguration, seed: UInt64,
        bridgeSecrets: any ServerStreamSecrets = ReadableSecrets(salt: "bridge"),
        serverSecrets: any ServerStreamSecrets = ReadableSecrets(salt: "server")
    ) {
        self.bridge = LocalSide(configuration: bridge, secrets: bridgeSecrets)
        self.server = LocalSide(configuration: server, secrets: serverSecrets)
        self.generator = SeededGenerator(seed: seed)
    }

    mutating func with<R>(_ which: Which, _ body: (inout LocalSide) -> R) -> R {
        switch which {
        case .bridge: body(&self.bridge)
        case .server: body(&self.server)
        }
    }

    mutating func deliver(_ which: Which, _ stanza: Stanza) {
        let now = self.now
        self.with(which) { $0.deliver(stanza, now: now) }
        self.perform(which)
    }

    /// Performs what one side wants done.
    mutating func perform(_ which: Which) {
        while let action = self.with(which, { $0.nextAction() }) {
            switch action {
            case .write(let id, let xml): self.send(which, id, Array(xml.utf8))
            case .writeStanza(let id, let stanza):
                self.send(which, id, Array(stanza.text.utf8))
                let now = self.now
                self.with(which) { $0.stanzasWritten(id, count: 1, now: now) }
            case .startTLS(let id, _, let domain, _): self.startTLS(which, id, domain)
            case .restartReader(let id):
                guard let end = self.end(which, id) else { continue }
                end.reader.reset()
                end.inbox.removeAll()
            case .authenticated(let id): self.end(which, id)?.reader.setLimits(.local)
            case .dial(let token): self.dial(which, token)
            case .close(let id): self.close(which, id)
            case .received(let stanza, let receipt):
                self.received[which]?.append(stanza)
                let now = self.now
                self.with(which) { $0.stanzaHandled(receipt, now: now) }
            case .oversize(let stub): self.received[which]?.append(stub)
            case .undeliverable(let stanza, _, _, _): self.undeliverable[which]?.append(stanza)
            case .arm(let deadline): self.timers[which] = deadline
            case .disarm: self.timers[which] = nil
            case .delivered, .streamOpened, .streamLost: break
            case .note(let note): self.notes[which]?.append(note)
            }
        }
    }

    private func end(_ which: Which, _ id: ConnectionID) -> End? {
        self.ends.first { $0.which == which && $0.id == id && $0.isOpen }
    }

    private mutating func send(_ which: Which, _ id: ConnectionID, _ bytes: [UInt8]) {
        guard let peer = self.end(which, id)?.peer, peer.isOpen else { return }
        peer.inbox += bytes
    }

    private mutating func dial(_ which: Which, _ token: DialToken) {
        self.dials[which, default: 0] += 1
        let now = self.now
        guard self.canDial(which) else {
            self.with(which) { $0.dialFailed(token, reason: "connection refused", now: now) }
            return
        }
        let own = End(which, ConnectionID(number: self.nextConnection))
        let far = End(which.other, ConnectionID(number: self.nextConnection + 1))
        self.nextConnection += 2
        (own.peer, far.peer) = (far, own)
        self.ends += [own, far]
        self.with(which.other) { $0.connectionAccepted(far.id, now: now) }
        self.with(which) { $0.dialSucceeded(token, connection: own.id, now: now) }
        self.perform(which.other)
    }

    private mutating func startTLS(_ which: Which, _ id: ConnectionID, _ domain: Domain) {
        guard let end = self.end(which, id) else { return }
        end.shows = domain
        guard let peer = end.peer, let other = peer.shows, peer.isOpen else { return }
        let now = self.now
        let (ownCertificate, farCertificate) = (self.certificate(domain), self.certificate(other))
        self.with(which) { $0.tlsEstablished(id, peer: farCertificate, now: now) }
        self.with(peer.which) { $0.tlsEstablished(peer.id, peer: ownCertificate, now: now) }
        self.perform(peer.which)
    }

    private mutating func close(_ which: Which, _ id: ConnectionID) {
        guard let end = self.end(which, id) else { return }
        end.isOpen = false
        end.peer?.peerHasClosed = true
        let now = self.now
        self.with(which) { $0.connectionClosed(id, now: now) }
    }

    /// Cuts every connection; what was on its way is lost.
    mutating func cut() {
        let now = self.now
        for end in self.ends where end.isOpen {
            end.isOpen = false
            self.with(end.which) { $0.connectionClosed(end.id, now: now) }
        }
        for which in Which.allCases { self.perform(which) }
    }

    /// Lets bytes flow until nothing moves any more.
    mutating func run() {
        for which in Which.allCases { self.perform(which) }
        var steps = 0
        while true {
            steps += 1
            precondition(steps < 2_000_000, "the two sides never come to rest")
            let ready = self.ends.filter { $0.isOpen && (!$0.inbox.isEmpty || $0.peerHasClosed) }
            guard let end = ready.randomElement(using: &self.generator) else { break }
            self.step(end)
            if self.ends.count > 64 { self.ends.removeAll { !$0.isOpen && $0.peer?.isOpen != true } }
        }
    }

    private mutating func step(_ end: End) {
        let now = self.now
        guard !end.inbox.isEmpty else {
            end.isOpen = false
            self.with(end.which) { $0.connectionClosed(end.id, now: now) }
            self.perform(end.which)
            return
        }
        let count = min(Int.random(in: 1...self.largestPiece, using: &self.generator), end.inbox.count)
        var buffer = ByteBuffer(bytes: end.inbox.prefix(count))
        end.inbox.removeFirst(count)
        end.reader.read(&buffer)
        while end.isOpen, let event = end.reader.nextEvent() {
            switch event {
            case .opened(let header):
                let streamID = "id\(self.nextStreamID)"
                self.nextStreamID += 1
                self.with(end.which) { $0.streamOpened(end.id, header: header, streamID: streamID, now: now) }
            case .stanza(let stanza):
                self.with(end.which) { $0.stanzaReceived(end.id, stanza, now: now) }
            case .oversize(let stub, _):
                self.with(end.which) { $0.oversizeReceived(end.id, stub, now: now) }
            case .closed:
                self.with(end.which) { $0.streamClosed(end.id, now: now) }
            case .failed(let error):
                self.with(end.which) { $0.streamFailed(end.id, error, now: now) }
            }
            self.perform(end.which)
        }
    }

    /// Lets time pass, calling the machines when they asked for it.
    mutating func wait(_ seconds: Int64) {
        let target = self.now + .seconds(seconds)
        self.run()
        while let (which, deadline) = self.timers.filter({ $0.value <= target })
            .min(by: { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) })
        {
            self.now = max(self.now, deadline)
            self.timers[which] = nil
            let now = self.now
            self.with(which) { $0.deadlineReached(now: now) }
            self.run()
        }
        self.now = target
    }

    var openConnections: Int { self.ends.count { $0.isOpen } }
    func noted(_ which: Which, _ kind: LocalNote.Kind) -> Int { self.notes[which]?.count { $0.kind == kind } ?? 0 }
}
