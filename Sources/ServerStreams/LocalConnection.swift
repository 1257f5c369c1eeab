import NIOCore
import XMPP

/// What the ``LocalSide`` keeps per connection. A class, because a dictionary holds no non-copyable values; it never
/// leaves its machine.
class LocalConnection {
    let id: ConnectionID
    /// When something of ours last went out, as far as keep-alive is concerned.
    var lastSent: NIODeadline
    let openedAt: NIODeadline
    /// The site's own domains that have proved something on this stream.
    var locals: [Domain] = []

    init(id: ConnectionID, now: NIODeadline) {
        self.id = id
        self.lastSent = now
        self.openedAt = now
    }
}

/// A stream that the server opened.
final class InboundConnection: LocalConnection {
    var machine: InboundStreamStateMachine
    var ledger = InboundLedger()
    /// It stands in the list of those whose server should be told how far the bridge is.
    var isTelling = false

    init(_ machine: consuming InboundStreamStateMachine, now: NIODeadline) {
        let id = machine.connection
        self.machine = machine
        super.init(id: id, now: now)
    }
}

/// A stream that the bridge opened: it carries what waits on its routes.
class CarrierConnection: LocalConnection {
    var isWritable = true
    /// In the order in which they were put on it.
    var routes: [Route] = []
    /// When a stanza last went out.
    var lastStanza: NIODeadline
    var wasAuthorized = false
    /// What was handed to the runtime and for which the server is not responsible yet.
    var ledger = OutboundLedger()

    override init(id: ConnectionID, now: NIODeadline) {
        self.lastStanza = now
        super.init(id: id, now: now)
    }

    /// For logs: whom it was opened for.
    var purpose: String { "of nobody" }
}

final class OutboundConnection: CarrierConnection {
    var machine: OutboundStreamStateMachine

    override var purpose: String { "\(self.machine.pair.remote) to \(self.machine.pair.local)" }

    init(_ machine: consuming OutboundStreamStateMachine, now: NIODeadline) {
        let id = machine.connection
        self.machine = machine
        super.init(id: id, now: now)
    }
}

final class ComponentConnection: CarrierConnection {
    var machine: ComponentStreamStateMachine

    override var purpose: String { "component \(self.machine.domain)" }

    init(_ machine: consuming ComponentStreamStateMachine, now: NIODeadline) {
        let id = machine.connection
        self.machine = machine
        super.init(id: id, now: now)
    }
}

/// Which stanzas share an order and a stream: those of one pair of domains, or all of one component.
struct RouteKey: Hashable {
    let remote: Domain
    /// `nil` for a component.
    let local: Domain?
}

/// The way from one remote domain to the local server, and what waits on it.
final class Route {
    enum Phase: Equatable {
        /// No connection and no need of one.
        case idle
        /// A dial is wanted as soon as the pauses allow.
        case waiting
        case dialing(DialToken)
        case connected
    }

    let key: RouteKey
    /// Routes are always walked in the order of their making.
    let ordinal: UInt64
    var queue = DeliveryQueue()
    var phase = Phase.idle
    var backoff = Backoff()
    /// Set while the phase is `connected`.
    var carrier: CarrierConnection?
    /// The carrier may take this route's stanzas.
    var isAuthorized = false
    /// It stands in the list of those whose queue can be written.
    var isDrainable = false
    /// Questions that wait for a connection.
    var questions: [DialbackVerification] = []
    var avoidsExternal = false
    /// Streams of this route whose acknowledgements could not be true, or never came.
    var managementFaults = 0
    var lastError: String?
    /// Stanzas that found the queue full since the route was last open.
    var overflows: UInt64 = 0

    init(key: RouteKey, ordinal: UInt64) {
        self.key = key
        self.ordinal = ordinal
    }

    /// Whether a stanza goes this way.
    func carries(_ stanza: Stanza) -> Bool {
        stanza.fromDomainEquals(self.key.remote) && (self.key.local.map { stanza.toDomainEquals($0) } ?? true)
    }

    /// The pair of domains; `nil` for a component.
    var pair: DomainPair? { self.key.local.map { DomainPair(remote: self.key.remote, local: $0) } }
    /// A component stays connected, for the server reaches the bridge by nothing else.
    var wantsStream: Bool { self.key.local == nil || !self.queue.isEmpty || !self.questions.isEmpty }

    var description: String {
        self.key.local.map { "\(self.key.remote) to \($0)" } ?? "component \(self.key.remote)"
    }

    var stateText: String {
        switch self.phase {
        case .idle: "idle"
        case .waiting: "waiting before the next attempt"
        case .dialing: "connecting"
        case .connected: self.isAuthorized ? "open" : "negotiating"
        }
    }
}
