package import DequeModule
package import NIOCore
package import XMPP

/// One stream that the local server opened to the bridge: the bridge is the receiving server, and at times the
/// authoritative one.
///
/// ```
///                     ┌───────────── STARTTLS, SASL success ───────────┐
///                     ▼                                                │
///  connection → awaitingHeader ── header ──→ negotiating ── <starttls> → startingTLS ── TLS up ─→ awaitingHeader
///                     │ header, SASL done        │ db:result verified
///                     └────────→ authorized ←────┘
///                                    │ our </stream>        any state: their </stream>, an error of either side
///                                    ▼                                      │
///                                 closing ── their </stream>, deadline ─→ closed
/// ```
///
/// A stanza passes only when its pair of domains was proved on this very stream (RFC 6120 §8.1.1.2, XEP-0220 §2.5).
/// Domains of the header are fixed with the first header, before any proof, and never change (RFC 6120 §4.3.6 leaves
/// that to the receiver; XEP-0220 knows no reason to change them). Where RFC 6120 leaves a choice of stream error the
/// comment at the place says why this one.
package struct InboundStreamStateMachine: ~Copyable {
    /// What the surrounding ``LocalSide`` has to do beyond the actions.
    package enum Outcome: Equatable, Sendable {
        case none
        /// Ask the authoritative server; answer with ``verificationAnswered(pair:streamID:answer:actions:)``.
        case verify(DialbackVerification)
        /// The server proved a pair: it is alive and well.
        case proved(DomainPair)
        /// A stanza of a proved pair.
        case passed
        /// Stanzas count from here on (XEP-0198).
        case managementEnabled
        /// The server wants to know how far the bridge is.
        case acknowledgementWanted
    }

    enum State: Equatable {
        /// Nothing of this stream was read yet: of a new connection, or after a restart.
        case awaitingHeader
        /// Header and features are sent, nothing is proved. Stanzas end the stream.
        case negotiating(streamID: String)
        /// `proceed` was sent. Nothing but the TLS handshake may come.
        case startingTLS
        /// At least one pair is proved.
        case authorized(streamID: String)
        /// The closing tag was sent; stanzas still pass until the other side has closed as well (RFC 6120 §4.4).
        case closing
        /// Nothing is read or written any more.
        case closed
    }

    package let connection: ConnectionID
    let configuration: LocalSideConfiguration
    let authority: DialbackAuthority

    var state: State = .awaitingHeader
    /// From the first header, or `nil` where it named nobody.
    var localDomain: Domain?
    var remoteDomain: Domain?
    var isEncrypted = false
    var certificate: CertificateIdentities?
    /// SASL EXTERNAL succeeded on this connection.
    var isAuthenticated = false
    var provedPairs: [DomainPair] = []
    var pendingPairs: [DomainPair] = []
    /// Domains of the site for which something was claimed here and never proved.
    private var failedClaims: [Domain] = []
    /// The other side asked about a key: it may have come for nothing else.
    var hasAsked = false
    var refusals = 0
    var elementsBeforeAuthorization = 0
    /// `enabled` was sent.
    var isManaged = false
    /// When the stream ends if it is still doing what it does; `nil` while authorised.
    package internal(set) var deadline: NIODeadline?
    /// Why the stream ended or is about to, in words.
    package private(set) var endReason: String?
    /// The other side broke off: an error that does not merely tidy up, or a connection that ended without a closing tag.
    package var isBroken = false

    package init(
        connection: ConnectionID, configuration: LocalSideConfiguration, secrets: any ServerStreamSecrets,
        now: NIODeadline
    ) {
        self.connection = connection
        self.configuration = configuration
        self.authority = DialbackAuthority(configuration: configuration, secrets: secrets)
        self.deadline = now + configuration.negotiationTimeout
    }

    package var isAuthorized: Bool { !self.provedPairs.isEmpty }
    package var isClosed: Bool { self.state == .closed }
    package var isClosing: Bool { self.state == .closing || self.state == .closed }
    /// The pairs that may speak on this stream, in the order of their proof.
    package var proved: [DomainPair] { self.provedPairs }
    package var pendingVerifications: Int { self.pendingPairs.count }

    /// Domains of the site in whose name the other side wanted to speak here, and could not: what it had for this stream is
    /// lost, or came back inside its server. Without order.
    package var unprovedDomains: [Domain] {
        var domains = self.failedClaims
        if !self.isAuthorized, !self.hasAsked, let localDomain { domains.append(localDomain) }
        return domains.filter { domain in !self.provedPairs.contains { $0.local == domain } }
    }

    /// A claim will not be proved on this stream any more.
    mutating func claimFailed(_ domain: Domain) {
        if !self.failedClaims.contains(domain) { self.failedClaims.append(domain) }
    }

    package var debugState: String {
        switch self.state {
        case .awaitingHeader: self.isAuthenticated ? "restarting" : "waiting for the stream header"
        case .negotiating: self.pendingPairs.isEmpty ? "negotiating" : "verifying dialback"
        case .startingTLS: "starting TLS"
        case .authorized: "open"
        case .closing: "closing"
        case .closed: "closed"
        }
    }

    // MARK: Inputs

    /// The TLS handshake that this machine asked for is done.
    package mutating func tlsEstablished(peer: CertificateIdentities?, actions: inout Deque<LocalAction>) {
        guard self.state == .startingTLS else { return }
        self.isEncrypted = true
        self.certificate = peer
        self.state = .awaitingHeader
    }

    /// A child of the stream root arrived.
    package mutating func stanzaReceived(_ stanza: Stanza, actions: inout Deque<LocalAction>) -> Outcome {
        switch self.state {
        case .authorized, .closing:
            if stanza.kind == .other {
                return self.elementReceived(stanza.root, actions: &actions)
            }
            return self.pass(stanza, &actions)
        case .negotiating:
            self.elementsBeforeAuthorization += 1
            guard self.elementsBeforeAuthorization <= self.configuration.maximumElementsBeforeAuthorization else {
                self.fail(.init(.policyViolation, text: "too much was said before anything was proved"), &actions)
                return .none
            }
            if stanza.kind == .other {
                return self.elementReceived(stanza.root, actions: &actions)
            }
            self.fail(.init(.notAuthorized, text: "no domain is proved on this stream yet"), &actions)
            return .none
        case .awaitingHeader, .startingTLS:
            // A reader never reports a child before the root, and after `proceed` only TLS may come.
            self.abort("something was sent where only the TLS handshake or a header may stand", &actions)
            return .none
        case .closed:
            return .none
        }
    }

    /// A stanza over the size limit was skipped by the reader.
    package mutating func oversizeReceived(_ stub: Stanza, actions: inout Deque<LocalAction>) -> Outcome {
        switch self.state {
        case .authorized, .closing:
            guard stub.kind != .other else {
                self.fail(.init(.policyViolation, text: "stream-level element is too big"), &actions)
                return .none
            }
            return self.pass(stub, &actions)
        case .negotiating, .awaitingHeader, .startingTLS:
            self.fail(.init(.policyViolation, text: "too much was said before anything was proved"), &actions)
            return .none
        case .closed:
            return .none
        }
    }

    /// The other side closed its stream.
    package mutating func streamClosed(actions: inout Deque<LocalAction>) {
        switch self.state {
        case .awaitingHeader, .startingTLS:
            self.abort("the server closed the stream during the negotiation", &actions)
        case .negotiating, .authorized:
            actions.append(.write(self.connection, StreamHeader.closingTag))
            self.abort("the server closed the stream", &actions)
        case .closing:
            self.abort(self.endReason ?? "closed", &actions)
        case .closed:
            break
        }
    }

    /// The reader refused the input.
    package mutating func streamFailed(_ error: StreamError, actions: inout Deque<LocalAction>) {
        self.fail(error, &actions)
    }

    /// The connection is gone.
    package mutating func connectionClosed() {
        if self.endReason == nil { self.endReason = "the connection ended without a closing tag" }
        if !self.isClosing { self.isBroken = true }
        self.state = .closed
        self.deadline = nil
        self.forgetClaims()
    }

    /// The bridge wants to stop.
    package mutating func closeRequested(_ reason: String, now: NIODeadline, actions: inout Deque<LocalAction>) {
        switch self.state {
        case .negotiating, .authorized:
            actions.append(.write(self.connection, StreamHeader.closingTag))
            self.endReason = reason
            self.state = .closing
            self.deadline = now + self.configuration.closeTimeout
        case .awaitingHeader, .startingTLS:
            self.abort(reason, &actions)
        case .closing, .closed:
            break
        }
    }

    package mutating func deadlineReached(now: NIODeadline, actions: inout Deque<LocalAction>) {
        guard let deadline, deadline <= now else { return }
        switch self.state {
        case .awaitingHeader, .negotiating:
            self.fail(.init(.connectionTimeout, text: "nothing was proved in time"), &actions)
        case .startingTLS:
            self.abort("the TLS handshake was not done in time", &actions)
        case .closing:
            self.abort(self.endReason ?? "closed", &actions)
        case .authorized, .closed:
            self.deadline = nil
        }
    }

    // MARK: Shared steps

    /// Lets a stanza through if its domains are proved; ends the stream if not.
    private mutating func pass(_ stanza: Stanza, _ actions: inout Deque<LocalAction>) -> Outcome {
        for pair in self.provedPairs where stanza.fromDomainEquals(pair.local) && stanza.toDomainEquals(pair.remote) {
            return .passed
        }
        let problem: StreamError
        if let from = stanza.fromDomain, let to = stanza.toDomain {
            if !self.provedPairs.contains(where: { $0.local == from }) {
                problem = StreamError(.invalidFrom, text: "\(from) is not proved on this stream")
            } else if !self.configuration.standsInFor(to) {
                problem = StreamError(.hostUnknown, text: "\(to) is not reached through this bridge")
            } else {
                // The sender is known, but not towards this domain: authorisation is for pairs (XEP-0220 §2.5).
                problem = StreamError(.invalidFrom, text: "\(from) is not proved towards \(to) on this stream")
            }
        } else {
            problem = StreamError(.improperAddressing, text: "a stanza between servers needs valid to and from")
        }
        self.fail(problem, &actions)
        return .none
    }

    /// Records a proved pair and opens the stream for it.
    mutating func prove(_ pair: DomainPair, by method: String, actions: inout Deque<LocalAction>) {
        let isFirst = self.provedPairs.isEmpty
        if !self.provedPairs.contains(pair) { self.provedPairs.append(pair) }
        if isFirst { actions.append(.authenticated(self.connection)) }
        let channel = self.isEncrypted ? "over TLS" : "in the clear"
        actions.append(
            .note(
                LocalNote(
                    .streamAuthorized, .information, self.connection,
                    "the server may speak for \(pair.local) to \(pair.remote): \(method) \(channel)")))
    }

    /// Ends the stream with an error (RFC 6120 §4.9.1.1), with a header before it where none was sent (§4.9.1.2).
    mutating func fail(_ error: StreamError, _ actions: inout Deque<LocalAction>) {
        switch self.state {
        case .closed:
            return
        case .startingTLS:
            self.abort("the TLS handshake was expected: \(error.condition.rawValue)", &actions)
            return
        case .closing:
            break
        case .awaitingHeader:
            // The id of a stream that ends here proves nothing, so it need not be hard to guess.
            actions.append(.write(self.connection, self.header(id: "ended-\(self.connection.number)").openingTag()))
            actions.append(.write(self.connection, error.element() + StreamHeader.closingTag))
        case .negotiating, .authorized:
            actions.append(.write(self.connection, error.element() + StreamHeader.closingTag))
        }
        let text = error.text.map { ": \($0)" } ?? ""
        let who = self.localDomain.map { "the stream of \($0)" } ?? "a stream"
        actions.append(
            .note(
                LocalNote(
                    .streamErrorSent, .warning, self.connection,
                    "\(who) was ended with \(error.condition.rawValue)\(LocalNote.quoted(text))")))
        self.abort("ended with \(error.condition.rawValue)\(LocalNote.quoted(text))", &actions)
    }

    /// Closes the connection without a word.
    mutating func abort(_ reason: String, _ actions: inout Deque<LocalAction>) {
        guard self.state != .closed else { return }
        if self.endReason == nil { self.endReason = reason }
        self.state = .closed
        self.deadline = nil
        self.forgetClaims()
        actions.append(.close(self.connection))
    }

    private mutating func forgetClaims() {
        for pair in self.pendingPairs { self.claimFailed(pair.local) }
        self.pendingPairs.removeAll()
    }

    func header(id: String) -> StreamHeader {
        StreamHeader(
            from: self.remoteDomain?.string, to: self.localDomain?.string, id: id, version: "1.0", language: nil,
            contentNamespace: XMLNamespace.server, declaresDialback: self.configuration.allowsDialback)
    }
}
