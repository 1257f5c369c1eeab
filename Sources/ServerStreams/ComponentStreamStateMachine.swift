package import DequeModule
package import NIOCore
package import XMPP

/// One stream by which the bridge is an external component of the local server, for one exact domain (XEP-0114, `accept`).
///
/// ```
///  connected → awaitingHeader ─ id ─→ awaitingHandshake ─ <handshake/> ─→ open → closing → closed
/// ```
///
/// The server routes to a component what is addressed to its domain, from whomever. The bridge takes only what comes from
/// the site's own domains. XEP-0114 has no TLS, and no server offers XEP-0198 on such a stream: what either side wrote
/// while the connection broke is lost. Between servers the guarantee is better.
///
/// COMPAT: ejabberd 23.01 registers every connection of one `ejabberd_service` listener for all `hosts` of that listener
/// and so spreads a domain's stanzas over the streams of several components. They are taken, for it is the same server
/// that proved the same secret; but nobody can then promise their order, and a note says how to put that right.
package struct ComponentStreamStateMachine: ~Copyable {
    package enum Outcome: Equatable, Sendable {
        case none
        /// Stanzas may be written.
        case authorized
    }

    enum State: Equatable {
        case awaitingHeader, awaitingHandshake, open, closing, closed
    }

    package let connection: ConnectionID
    package let domain: Domain
    private let secret: String
    private let configuration: LocalSideConfiguration
    private let secrets: any ServerStreamSecrets
    private var state: State = .awaitingHeader
    /// The server used this stream for another component's domain.
    private var carriesOthers = false
    private var refused: UInt64 = 0
    /// Stanzas that came so far.
    private var taken: UInt64 = 0
    package private(set) var deadline: NIODeadline?
    package private(set) var endReason: String?
    /// The server broke off: an error that does not merely tidy up, or a connection that ended without a closing tag.
    package private(set) var isBroken = false

    package init(
        connection: ConnectionID, domain: Domain, secret: String, configuration: LocalSideConfiguration,
        secrets: any ServerStreamSecrets, now: NIODeadline
    ) {
        self.connection = connection
        self.domain = domain
        self.secret = secret
        self.configuration = configuration
        self.secrets = secrets
        self.deadline = now + configuration.negotiationTimeout
    }

    package var isOpen: Bool { self.state == .open }
    package var isClosed: Bool { self.state == .closed }
    package var isClosing: Bool { self.state == .closing || self.state == .closed }

    package var debugState: String {
        switch self.state {
        case .awaitingHeader: "waiting for the server's header"
        case .awaitingHandshake: "waiting for the server to accept the secret"
        case .open: "open"
        case .closing: "closing"
        case .closed: "closed"
        }
    }

    /// The connection is up: says hello. The header carries neither `from` nor a version (XEP-0114 §3).
    package mutating func start(actions: inout Deque<LocalAction>) {
        guard self.state == .awaitingHeader else { return }
        let header = StreamHeader(
            from: nil, to: self.domain.string, id: nil, version: nil, language: nil,
            contentNamespace: XMLNamespace.component, declaresDialback: false)
        actions.append(.write(self.connection, header.openingTag()))
    }

    package mutating func streamOpened(_ header: StreamHeader, actions: inout Deque<LocalAction>) {
        guard self.state == .awaitingHeader else {
            if !self.isClosing { self.fail(.init(.badFormat, text: "a second header"), &actions) }
            return
        }
        guard header.contentNamespace == XMLNamespace.component else {
            let text = "the port does not speak \(XMLNamespace.component); is it the server's component port?"
            self.fail(.init(.invalidNamespace, text: text), &actions)
            return
        }
        guard let id = header.id, !id.isEmpty else {
            // A server that refuses the header answers with one without an id and then says why.
            self.state = .awaitingHandshake
            return
        }
        self.state = .awaitingHandshake
        let value = self.secrets.componentHandshake(streamID: id, secret: self.secret)
        actions.append(.write(self.connection, StreamXML.handshake(value)))
    }

    package mutating func stanzaReceived(_ stanza: Stanza, actions: inout Deque<LocalAction>) -> Outcome {
        guard self.state != .closed else { return .none }
        if stanza.kind == .other {
            return self.elementReceived(stanza.root, &actions)
        }
        switch self.state {
        case .open, .closing:
            self.taken += 1
            let receipt = LocalReceipt(connection: self.connection.number, number: self.taken)
            self.pass(stanza, as: .received(stanza, receipt), &actions)
        case .awaitingHeader, .awaitingHandshake:
            self.fail(.init(.notAuthorized, text: "stanzas before the handshake"), &actions)
        case .closed:
            break
        }
        return .none
    }

    package mutating func oversizeReceived(_ stub: Stanza, actions: inout Deque<LocalAction>) {
        switch self.state {
        case .open, .closing:
            if stub.kind != .other { self.pass(stub, as: .oversize(stub), &actions) }
        case .awaitingHeader, .awaitingHandshake:
            self.fail(.init(.policyViolation, text: "too much was said before the handshake"), &actions)
        case .closed:
            break
        }
    }

    package mutating func streamClosed(actions: inout Deque<LocalAction>) {
        guard self.state != .closed else { return }
        if self.state != .closing { actions.append(.write(self.connection, StreamHeader.closingTag)) }
        self.abort("the server closed the component's stream", &actions)
    }

    package mutating func streamFailed(_ error: StreamError, actions: inout Deque<LocalAction>) {
        self.fail(error, &actions)
    }

    package mutating func connectionClosed() {
        if self.endReason == nil { self.endReason = "the connection ended without a closing tag" }
        if !self.isClosing { self.isBroken = true }
        self.state = .closed
        self.deadline = nil
    }

    package mutating func closeRequested(_ reason: String, now: NIODeadline, actions: inout Deque<LocalAction>) {
        guard !self.isClosing else { return }
        actions.append(.write(self.connection, StreamHeader.closingTag))
        self.endReason = reason
        self.state = .closing
        self.deadline = now + self.configuration.closeTimeout
    }

    package mutating func deadlineReached(now: NIODeadline, actions: inout Deque<LocalAction>) {
        guard let deadline, deadline <= now else { return }
        switch self.state {
        case .awaitingHeader, .awaitingHandshake:
            self.fail(.init(.connectionTimeout, text: "the handshake was not done in time"), &actions)
        case .closing:
            self.abort(self.endReason ?? "closed", &actions)
        case .open, .closed:
            self.deadline = nil
        }
    }

    // MARK: Steps

    private mutating func elementReceived(_ element: Element, _ actions: inout Deque<LocalAction>) -> Outcome {
        if let error = StreamError(element) {
            let text = "the server refused or ended the component \(self.domain): \(self.explain(error))"
            actions.append(.note(LocalNote(.streamErrorReceived, .error, self.connection, text)))
            if self.state != .closing { actions.append(.write(self.connection, StreamHeader.closingTag)) }
            self.isBroken = error.condition != .connectionTimeout
            self.abort(text, &actions)
            return .none
        }
        // The element stands in the content namespace, which canonical form does not write.
        guard element.name == "handshake", self.state == .awaitingHandshake else { return .none }
        self.state = .open
        self.deadline = nil
        actions.append(.authenticated(self.connection))
        let text = "the bridge is the component \(self.domain)"
        actions.append(.note(LocalNote(.streamAuthorized, .information, self.connection, text)))
        return .authorized
    }

    /// The stream errors of XEP-0114 §3 with what to do about them.
    private func explain(_ error: StreamError) -> String {
        let said = error.text.map { " (\"\(LocalNote.quoted($0))\")" } ?? ""
        let advice =
            switch error.condition {
            case .conflict:
                "another program is connected as this component; stop it, or the server's old connection of the bridge "
                    + "has yet to time out"
            case .hostUnknown, .hostGone:
                "the server has no component of this name; add it to the server's configuration"
            case .notAuthorized:
                "the secret is wrong; make [site.components] and the server's configuration agree"
            case .invalidNamespace:
                "the port is not the server's component port"
            case .badFormat, .badNamespacePrefix, .connectionTimeout, .improperAddressing, .internalServerError,
                .invalidFrom, .invalidXML, .notWellFormed, .policyViolation, .remoteConnectionFailed, .reset,
                .resourceConstraint, .restrictedXML, .seeOtherHost, .systemShutdown, .undefinedCondition,
                .unsupportedEncoding, .unsupportedFeature, .unsupportedStanzaType, .unsupportedVersion:
                "the bridge will try again"
            }
        return "\(error.condition.rawValue)\(said): \(advice)"
    }

    private mutating func pass(_ stanza: Stanza, as action: LocalAction, _ actions: inout Deque<LocalAction>) {
        if !stanza.toDomainEquals(self.domain) {
            guard let to = stanza.toDomain, self.configuration.standsInFor(to) else {
                self.refuse("a stanza that is not addressed to \(self.domain)", &actions)
                return
            }
            if !self.carriesOthers {
                self.carriesOthers = true
                let text =
                    "the server sends stanzas for \(to) on the stream of the component \(self.domain); give each "
                    + "component a listener of its own (ejabberd: one ejabberd_service per domain), else order may suffer"
                actions.append(.note(LocalNote(.componentShared, .warning, self.connection, text)))
            }
        }
        guard let from = stanza.fromDomain, self.configuration.isLocal(from) else {
            let who = stanza.fromDomain?.string ?? "nobody"
            self.refuse("a stanza from \(who), which is not listed among the domains of this site", &actions)
            return
        }
        actions.append(action)
    }

    private mutating func refuse(_ what: String, _ actions: inout Deque<LocalAction>) {
        self.refused &+= 1
        // The first, the second, the fourth…: a server that goes on and on must not fill the log.
        guard self.refused & (self.refused &- 1) == 0 else { return }
        actions.append(
            .note(
                LocalNote(
                    .stanzaRefused, .warning, self.connection,
                    "the component \(self.domain) got \(what); \(self.refused) so far on this stream")))
    }

    private mutating func fail(_ error: StreamError, _ actions: inout Deque<LocalAction>) {
        guard self.state != .closed else { return }
        if self.state != .closing {
            actions.append(.write(self.connection, error.element() + StreamHeader.closingTag))
        }
        let text = error.text.map { ": \($0)" } ?? ""
        let reason = "the component \(self.domain) ended its stream with \(error.condition.rawValue)\(text)"
        actions.append(.note(LocalNote(.streamErrorSent, .warning, self.connection, reason)))
        self.abort(reason, &actions)
    }

    private mutating func abort(_ reason: String, _ actions: inout Deque<LocalAction>) {
        guard self.state != .closed else { return }
        if self.endReason == nil { self.endReason = reason }
        self.state = .closed
        self.deadline = nil
        actions.append(.close(self.connection))
    }
}
