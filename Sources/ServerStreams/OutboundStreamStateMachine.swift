package import DequeModule
package import NIOCore
package import XMPP

/// One stream that the bridge opened to the local server: the bridge is the initiating server, and asks as a receiving one
/// about keys that it was given elsewhere.
///
/// ```
///  connected → awaitingHeader → awaitingFeatures ─ offered ─→ awaitingProceed → startingTLS ─→ awaitingHeader (encrypted)
///                                   │  └─ EXTERNAL offered and wanted → awaitingSASL ─ success → awaitingHeader (authenticated)
///                                   ▼                                       │ failure
///                                 open  ←───────────────────────────────────┘
///              in `open`: db:result per pair, db:verify per question; a pair is authorised when the server says so
/// ```
///
/// A server that names no version gets no features and is met with dialback at once (RFC 6120 §4.7.5, XEP-0220 §2.3.1).
/// Questions (`db:verify`) go out as soon as the stream is open, before any pair is authorised: the other server may be
/// waiting for exactly that answer before it authorises the bridge.
package struct OutboundStreamStateMachine: ~Copyable {
    /// What the surrounding ``LocalSide`` has to do beyond the actions.
    package enum Outcome: Equatable, Sendable {
        case none
        /// Stanzas of this pair may be written.
        case authorized(DomainPair)
        /// The server will not take stanzas of this pair; they go back with this condition (XEP-0220 §2.1.1).
        ///
        /// - isLasting: trying again will not help, so that stanzas go back even if their inbox would keep them.
        case refused(DomainPair, StanzaErrorCondition, isLasting: Bool, reason: String)
        /// The authoritative server answered a question.
        case verified(DialbackVerification, DialbackAnswer)
        /// The server acknowledges from here on (XEP-0198).
        case managementEnabled
        /// The server does not acknowledge although it had offered to.
        case managementRefused
        /// So many stanzas are the server's.
        case acknowledged(UInt32)
    }

    /// How far the connection has come; each step restarts the stream.
    enum Phase: Equatable {
        case plain, encrypted, authenticated
    }

    enum State: Equatable {
        /// Our header was sent.
        case awaitingHeader(Phase)
        /// The server's header came and named version 1.0 or later.
        case awaitingFeatures(Phase, streamID: String)
        /// `starttls` was sent.
        case awaitingProceed
        case startingTLS
        /// `auth` was sent; `streamID` is what a fall-back to dialback would use.
        case awaitingSASL(streamID: String)
        /// Negotiated; dialback and, for authorised pairs, stanzas may flow.
        case open(streamID: String)
        /// Our closing tag was sent.
        case closing
        case closed
    }

    enum Claim: Equatable {
        /// Stanzas wait; nothing was said to the server yet.
        case wanted
        /// `db:result` was sent.
        case keySent
        case authorized
    }

    package let connection: ConnectionID
    /// The pair of the header, whose certificate is shown.
    package let pair: DomainPair
    let configuration: LocalSideConfiguration
    let authority: DialbackAuthority
    /// EXTERNAL failed the last time in a way that ended the stream: dialback at once (XEP-0178 §3 leaves both open).
    let avoidsExternal: Bool

    var state: State
    var isEncrypted = false
    var externalOffered = false
    var externalTried = false
    var isAuthenticated = false
    var declaresDialback = false
    var peerAnswersWithErrors = false
    /// Claims in the order of their making.
    var claims: [(pair: DomainPair, state: Claim)] = []
    /// Questions that wait for the stream to be open.
    var waitingQuestions: [DialbackVerification] = []
    /// Questions that were asked on this very stream.
    var openQuestions: [(question: DialbackVerification, deadline: NIODeadline)] = []
    var negotiationDeadline: NIODeadline?
    package internal(set) var endReason: String?
    /// The server broke off: an error that does not merely tidy up, or a connection that ended without a closing tag.
    package internal(set) var isBroken = false
    /// The stream error with which the server ended the stream.
    package internal(set) var peerError: StreamErrorCondition?
    /// The server acknowledges stanzas (XEP-0198).
    var offersManagement = false
    /// `enable` was sent.
    package internal(set) var asksForManagement = false
    /// Whether `enable` may be sent.
    let avoidsManagement: Bool
    /// SASL EXTERNAL was refused on this stream.
    package internal(set) var externalFailed = false

    /// - Parameters:
    ///   - avoidsExternal: go to dialback without trying EXTERNAL, where the policy has dialback.
    ///   - avoidsManagement: do not ask for acknowledgements; the server's were not to be trusted.
    package init(
        connection: ConnectionID, pair: DomainPair, configuration: LocalSideConfiguration,
        secrets: any ServerStreamSecrets, avoidsExternal: Bool, avoidsManagement: Bool = false, now: NIODeadline
    ) {
        self.avoidsManagement = avoidsManagement || !configuration.managesStreams
        self.connection = connection
        self.pair = pair
        self.configuration = configuration
        self.authority = DialbackAuthority(configuration: configuration, secrets: secrets)
        self.avoidsExternal = avoidsExternal && configuration.allowsDialback
        self.state = .awaitingHeader(.plain)
        self.negotiationDeadline = now + configuration.negotiationTimeout
    }

    package var isClosed: Bool { self.state == .closed }
    package var isClosing: Bool { self.state == .closing || self.state == .closed }
    package var authorizedPairs: [DomainPair] { self.claims.filter { $0.state == .authorized }.map(\.pair) }
    /// Whether the stream still has something to find out.
    package var isBusy: Bool {
        !self.waitingQuestions.isEmpty || !self.openQuestions.isEmpty
            || self.claims.contains { $0.state != .authorized }
    }
    /// Further pairs may share the stream: its server says that trouble with one leaves the others alone (XEP-0220 §2.5).
    package var takesFurtherPairs: Bool {
        !self.isClosing && self.configuration.allowsDialback && self.peerAnswersWithErrors
            && self.claims.count < self.configuration.maximumPairsPerStream
    }

    package func isAuthorized(_ pair: DomainPair) -> Bool {
        guard case .open = self.state else { return false }
        return self.claims.contains { $0.pair == pair && $0.state == .authorized }
    }

    package var debugState: String {
        switch self.state {
        case .awaitingHeader: "waiting for the server's header"
        case .awaitingFeatures: "waiting for the server's features"
        case .awaitingProceed, .startingTLS: "starting TLS"
        case .awaitingSASL: "authenticating with its certificate"
        case .open: self.authorizedPairs.isEmpty ? "waiting for dialback" : "open"
        case .closing: "closing"
        case .closed: "closed"
        }
    }

    /// The earliest time at which this machine wants to be asked.
    package var deadline: NIODeadline? {
        var earliest = self.negotiationDeadline
        for (_, deadline) in self.openQuestions where earliest.map({ deadline < $0 }) ?? true { earliest = deadline }
        return earliest
    }

    // MARK: Inputs

    /// The connection is up: says hello.
    package mutating func start(actions: inout Deque<LocalAction>) {
        guard case .awaitingHeader(.plain) = self.state else { return }
        self.sendHeader(&actions)
    }

    /// Stanzas wait for this pair. Asking twice is harmless.
    package mutating func authorizationWanted(
        _ pair: DomainPair, now: NIODeadline, actions: inout Deque<LocalAction>
    ) -> Outcome {
        guard !self.isClosing, !self.claims.contains(where: { $0.pair == pair }) else { return .none }
        self.claims.append((pair, .wanted))
        if self.negotiationDeadline == nil { self.negotiationDeadline = now + self.configuration.negotiationTimeout }
        return self.proceed(now: now, &actions)
    }

    /// A key that came on another stream needs the server's word.
    package mutating func verificationWanted(
        _ question: DialbackVerification, now: NIODeadline, actions: inout Deque<LocalAction>
    ) {
        guard !self.isClosing else { return }
        self.waitingQuestions.append(question)
        _ = self.proceed(now: now, &actions)
    }

    package mutating func tlsEstablished(
        peer: CertificateIdentities?, now: NIODeadline, actions: inout Deque<LocalAction>
    ) {
        guard self.state == .startingTLS else { return }
        self.isEncrypted = true
        if let problem = self.certificateProblem(peer) {
            if !self.configuration.allowsDialback {
                actions.append(.note(LocalNote(.certificateRefused, .error, self.connection, problem)))
                self.state = .awaitingHeader(.encrypted)
                // The server cannot know otherwise what is wrong with its certificate.
                self.sendHeader(&actions)
                self.fail(.init(.notAuthorized, text: problem), &actions)
                return
            }
            actions.append(.note(LocalNote(.certificateRefused, .information, self.connection, problem)))
        }
        self.state = .awaitingHeader(.encrypted)
        self.sendHeader(&actions)
    }

    package mutating func streamClosed(actions: inout Deque<LocalAction>) {
        switch self.state {
        case .closed:
            return
        case .closing:
            break
        case .awaitingHeader, .awaitingFeatures, .awaitingProceed, .awaitingSASL, .open:
            actions.append(.write(self.connection, StreamHeader.closingTag))
        case .startingTLS:
            break
        }
        self.abort("the server closed the stream", &actions)
    }

    package mutating func streamFailed(_ error: StreamError, actions: inout Deque<LocalAction>) {
        self.fail(error, &actions)
    }

    /// The connection is gone. What was asked on it is taken by ``takeQuestions()``.
    package mutating func connectionClosed() {
        if self.endReason == nil { self.endReason = "the connection ended without a closing tag" }
        if !self.isClosing { self.isBroken = true }
        self.state = .closed
        self.negotiationDeadline = nil
    }

    /// Hands out every question that will not be answered on this stream.
    package mutating func takeQuestions() -> [DialbackVerification] {
        let questions = self.waitingQuestions + self.openQuestions.map(\.question)
        self.waitingQuestions.removeAll()
        self.openQuestions.removeAll()
        return questions
    }

    package mutating func closeRequested(_ reason: String, now: NIODeadline, actions: inout Deque<LocalAction>) {
        switch self.state {
        case .closing, .closed:
            return
        case .startingTLS:
            self.abort(reason, &actions)
        case .awaitingHeader, .awaitingFeatures, .awaitingProceed, .awaitingSASL, .open:
            actions.append(.write(self.connection, StreamHeader.closingTag))
            self.endReason = reason
            self.state = .closing
            self.negotiationDeadline = now + self.configuration.closeTimeout
        }
    }

    /// Returns a question whose time is over, one per call; ask again until `none`.
    package mutating func deadlineReached(now: NIODeadline, actions: inout Deque<LocalAction>) -> Outcome {
        if let index = self.openQuestions.firstIndex(where: { $0.deadline <= now }) {
            return .verified(self.openQuestions.remove(at: index).question, .error(.remoteServerTimeout))
        }
        guard let deadline = self.negotiationDeadline, deadline <= now else { return .none }
        switch self.state {
        case .closing, .startingTLS:
            self.abort(self.endReason ?? "the TLS handshake was not done in time", &actions)
        case .closed:
            self.negotiationDeadline = nil
        case .awaitingHeader, .awaitingFeatures, .awaitingProceed, .awaitingSASL, .open:
            self.fail(.init(.connectionTimeout, text: "the negotiation was not done in time"), &actions)
        }
        return .none
    }

    // MARK: Shared steps

    mutating func sendHeader(_ actions: inout Deque<LocalAction>) {
        let header = StreamHeader(
            from: self.pair.remote.string, to: self.pair.local.string, id: nil, version: "1.0", language: nil,
            contentNamespace: XMLNamespace.server, declaresDialback: self.configuration.allowsDialback)
        actions.append(.write(self.connection, header.openingTag()))
    }

    /// What is wrong with the server's certificate; `nil` where it proves the local domain.
    private func certificateProblem(_ peer: CertificateIdentities?) -> String? {
        guard let peer else { return "the server of \(self.pair.local) showed no certificate" }
        guard peer.isValid else {
            let failure = peer.failure ?? "no reason is known"
            return "the certificate of the server of \(self.pair.local) is not valid: \(failure)"
        }
        guard peer.matches(self.pair.local) else {
            return "the certificate of the server does not name \(self.pair.local)"
        }
        return nil
    }

    /// Ends the stream with an error that the server should hear of.
    mutating func fail(_ error: StreamError, _ actions: inout Deque<LocalAction>) {
        switch self.state {
        case .closed:
            return
        case .startingTLS, .closing:
            break
        case .awaitingHeader, .awaitingFeatures, .awaitingProceed, .awaitingSASL, .open:
            actions.append(.write(self.connection, error.element() + StreamHeader.closingTag))
        }
        let text = error.text.map { ": \($0)" } ?? ""
        let reason = "the stream to \(self.pair.local) was ended with \(error.condition.rawValue)\(LocalNote.quoted(text))"
        actions.append(.note(LocalNote(.streamErrorSent, .warning, self.connection, reason)))
        self.abort(reason, &actions)
    }

    mutating func abort(_ reason: String, _ actions: inout Deque<LocalAction>) {
        guard self.state != .closed else { return }
        if self.endReason == nil { self.endReason = reason }
        self.state = .closed
        self.negotiationDeadline = nil
        actions.append(.close(self.connection))
    }
}
