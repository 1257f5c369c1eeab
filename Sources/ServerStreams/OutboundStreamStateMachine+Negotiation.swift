package import DequeModule
package import NIOCore
package import XMPP

// Header, features, STARTTLS, SASL EXTERNAL and dialback of the initiating server.
extension OutboundStreamStateMachine {
    /// The server's header arrived.
    package mutating func streamOpened(
        _ header: StreamHeader, now: NIODeadline, actions: inout Deque<LocalAction>
    ) -> Outcome {
        guard case .awaitingHeader(let phase) = self.state else {
            if !self.isClosing { self.fail(.init(.badFormat, text: "a second header without a restart"), &actions) }
            return .none
        }
        guard header.contentNamespace == XMLNamespace.server else {
            self.fail(.init(.invalidNamespace, text: "only \(XMLNamespace.server) is spoken here"), &actions)
            return .none
        }
        if let from = header.from, !from.isEmpty, Domain(from) != self.pair.local {
            self.fail(.init(.invalidFrom, text: "the answer does not come from \(self.pair.local)"), &actions)
            return .none
        }
        guard let streamID = header.id, !streamID.isEmpty else {
            self.fail(.init(.badFormat, text: "the header has no id"), &actions)
            return .none
        }
        self.declaresDialback = header.declaresDialback
        guard let version = StreamVersion(header.version) else {
            self.fail(.init(.unsupportedVersion, text: "the version is not two numbers"), &actions)
            return .none
        }
        if version.hasFeatures {
            self.state = .awaitingFeatures(phase, streamID: streamID)
            return .none
        }
        return self.negotiated(phase, streamID: streamID, StreamFeatures(), now: now, &actions)
    }

    /// A child of the stream root arrived.
    package mutating func stanzaReceived(
        _ stanza: Stanza, now: NIODeadline, actions: inout Deque<LocalAction>
    ) -> Outcome {
        guard self.state != .closed else { return .none }
        guard stanza.kind == .other else {
            // Streams between servers go one way (RFC 6120 §4.5); nothing was proved in the other.
            self.fail(.init(.notAuthorized, text: "stanzas to the bridge need a stream of the server's own"), &actions)
            return .none
        }
        let element = stanza.root
        if let error = StreamError(element) {
            let text = "the server of \(self.pair.local) ended the stream with " + LocalNote.describe(error)
            self.isBroken = error.condition != .connectionTimeout
            self.peerError = error.condition
            actions.append(.note(LocalNote(.streamErrorReceived, LocalNote.severity(of: error.condition), self.connection, text)))
            if !self.isClosing, self.state != .startingTLS {
                actions.append(.write(self.connection, StreamHeader.closingTag))
            }
            self.abort(text, &actions)
            return .none
        }
        if let dialback = DialbackElement(element) {
            return self.dialbackReceived(dialback, now: now, &actions)
        }
        if element.namespace == XMLNamespace.streamManagement, self.asksForManagement {
            return self.managementReceived(element, &actions)
        }
        switch self.state {
        case .awaitingFeatures(let phase, let streamID):
            guard let features = StreamFeatures(element) else { break }
            return self.featuresReceived(features, phase, streamID: streamID, now: now, &actions)
        case .awaitingProceed:
            guard element.namespace == XMLNamespace.tls else { break }
            if element.name == "proceed" {
                self.state = .startingTLS
                actions.append(.restartReader(self.connection))
                actions.append(
                    .startTLS(
                        self.connection, asServer: false, domain: self.pair.remote, peerName: self.pair.local))
            } else {
                self.giveUp("the server of \(self.pair.local) refused TLS that it had offered", &actions)
            }
            return .none
        case .awaitingSASL(let streamID):
            guard element.namespace == XMLNamespace.sasl else { break }
            return self.saslAnswered(element, streamID: streamID, now: now, &actions)
        case .awaitingHeader, .startingTLS:
            self.abort("the server spoke where only the TLS handshake or a header may stand", &actions)
            return .none
        case .open, .closing, .closed:
            // Features once more, or news from an extension that nobody asked for: nothing to do.
            return .none
        }
        self.fail(.init(.unsupportedStanzaType), &actions)
        return .none
    }

    private mutating func featuresReceived(
        _ features: StreamFeatures, _ phase: Phase, streamID: String, now: NIODeadline,
        _ actions: inout Deque<LocalAction>
    ) -> Outcome {
        if phase == .plain {
            if features.startTLS, self.configuration.encryption != .off {
                self.state = .awaitingProceed
                actions.append(.write(self.connection, StreamXML.startTLS))
                return .none
            }
            if features.requiresTLS {
                let text = "the server of \(self.pair.local) demands TLS, and [site.tls] mode is \"off\""
                self.giveUp(text, &actions)
                return .none
            }
        }
        return self.negotiated(phase, streamID: streamID, features, now: now, &actions)
    }

    /// The channel is as good as it gets; what is left is to be authorised.
    private mutating func negotiated(
        _ phase: Phase, streamID: String, _ features: StreamFeatures, now: NIODeadline,
        _ actions: inout Deque<LocalAction>
    ) -> Outcome {
        if phase == .plain, self.configuration.demandsTLS {
            let text = "TLS is demanded here, and the server of \(self.pair.local) does not offer it"
            actions.append(.note(LocalNote(.negotiationFailed, .error, self.connection, text)))
            self.fail(.init(.policyViolation, text: text), &actions)
            return .none
        }
        self.peerAnswersWithErrors = features.dialbackErrors
        self.offersManagement = features.management
        self.declaresDialback = self.declaresDialback || features.dialback
        self.externalOffered =
            phase == .encrypted && features.external && self.configuration.allowsExternal && !self.avoidsExternal
        self.state = .open(streamID: streamID)
        if phase == .authenticated {
            let method = "by the bridge's certificate"
            return self.authorized(self.pair, method, now: now, &actions)
        }
        if !self.externalOffered, !self.configuration.allowsDialback {
            let text =
                "the server of \(self.pair.local) does not offer SASL EXTERNAL; it does not trust the bridge's "
                + "certificate for \(self.pair.remote) (see skywave pki)"
            self.giveUp(text, &actions)
            return .none
        }
        return self.proceed(now: now, &actions)
    }

    /// Says what can be said now: questions first, for others wait for them.
    mutating func proceed(now: NIODeadline, _ actions: inout Deque<LocalAction>) -> Outcome {
        guard case .open(let streamID) = self.state else { return .none }
        // SASL restarts the stream, so it goes before any question; those wait for its end.
        let wantsExternal =
            self.externalOffered && !self.externalTried && self.openQuestions.isEmpty
            && self.claims.contains { $0.pair == self.pair && $0.state == .wanted }
        if wantsExternal {
            self.externalTried = true
            self.state = .awaitingSASL(streamID: streamID)
            actions.append(.write(self.connection, StreamXML.authExternal(as: self.pair.remote)))
            return .none
        }
        for question in self.waitingQuestions {
            self.openQuestions.append((question, now + self.configuration.verificationTimeout))
            let xml = StreamXML.dialbackQuestion(
                from: question.pair.remote, to: question.pair.local, id: question.streamID, key: question.key)
            actions.append(.write(self.connection, xml))
        }
        self.waitingQuestions.removeAll()
        for index in self.claims.indices where self.claims[index].state == .wanted {
            guard self.configuration.allowsDialback else {
                let pair = self.claims.remove(at: index).pair
                let text = "only one pair per stream can be proved by a certificate"
                return .refused(pair, .remoteServerTimeout, isLasting: false, reason: text)
            }
            guard self.declaresDialback else {
                let text = "the server of \(self.pair.local) offers neither SASL EXTERNAL nor dialback"
                self.giveUp(text, &actions)
                return .none
            }
            self.claims[index].state = .keySent
            let pair = self.claims[index].pair
            let key = self.authority.key(for: pair, streamID: streamID)
            actions.append(.write(self.connection, StreamXML.dialbackKey(from: pair.remote, to: pair.local, key: key)))
        }
        if !self.claims.contains(where: { $0.state != .authorized }) { self.negotiationDeadline = nil }
        return .none
    }

    private mutating func saslAnswered(
        _ element: Element, streamID: String, now: NIODeadline, _ actions: inout Deque<LocalAction>
    ) -> Outcome {
        switch element.name {
        case "success":
            self.isAuthenticated = true
            self.state = .awaitingHeader(.authenticated)
            actions.append(.restartReader(self.connection))
            self.sendHeader(&actions)
            return .none
        case "failure":
            self.externalFailed = true
            let condition = element.children.first { $0.name != "text" }?.name ?? "no reason"
            let text =
                "the server of \(self.pair.local) refused the bridge's certificate for \(self.pair.remote): "
                + LocalNote.quoted(condition)
            actions.append(.note(LocalNote(.certificateRefused, .warning, self.connection, text)))
            guard self.configuration.allowsDialback else {
                self.giveUp(text, &actions)
                return .none
            }
            self.state = .open(streamID: streamID)
            return self.proceed(now: now, &actions)
        default:
            // EXTERNAL has no challenges (RFC 4422 appendix A).
            self.giveUp("the server of \(self.pair.local) does not keep to SASL EXTERNAL", &actions)
            return .none
        }
    }

    private mutating func dialbackReceived(
        _ element: DialbackElement, now: NIODeadline, _ actions: inout Deque<LocalAction>
    ) -> Outcome {
        // On this stream the server only answers; each answer must belong to a question that was asked on it
        // (XEP-0220 §3.1).
        guard let answer = element.answer, let from = element.from, let to = element.to else {
            self.noteUnsolicited(element, &actions)
            return .none
        }
        let pair = DomainPair(remote: to, local: from)
        switch element.name {
        case .verify:
            let match = self.openQuestions.firstIndex {
                $0.question.pair == pair && $0.question.streamID == element.id
            }
            guard let match else {
                self.noteUnsolicited(element, &actions)
                return .none
            }
            let question = self.openQuestions.remove(at: match).question
            if case .error(let condition) = answer {
                // Whatever is wrong there, the one who claimed the domain hears that nobody vouches (XEP-0220 §2.4).
                let text =
                    "the server of \(pair.local) does not answer for it (\(condition.rawValue)); "
                    + "compare [site] domains with the server's configuration"
                actions.append(.note(LocalNote(.dialbackRefused, .warning, self.connection, text)))
                return .verified(question, .error(.remoteServerNotFound))
            }
            if answer == .valid, self.authorizedPairs.isEmpty { actions.append(.authenticated(self.connection)) }
            return .verified(question, answer)
        case .result:
            guard let index = self.claims.firstIndex(where: { $0.pair == pair && $0.state == .keySent }) else {
                self.noteUnsolicited(element, &actions)
                return .none
            }
            switch answer {
            case .valid:
                return self.authorized(pair, "by dialback", now: now, &actions)
            case .invalid:
                self.claims.remove(at: index)
                let text =
                    "the server of \(pair.local) was told that the bridge's key for \(pair.remote) is not valid; "
                    + "it probably resolves \(pair.remote) to another server than this bridge"
                actions.append(.note(LocalNote(.dialbackInvalid, .error, self.connection, text)))
                self.abort(text, &actions, saying: StreamHeader.closingTag)
                // The operator mends that, or the bridge was restarted in the middle: stanzas can wait for it.
                return .refused(pair, .internalServerError, isLasting: false, reason: text)
            case .error(let condition):
                self.claims.remove(at: index)
                let text =
                    "the server of \(pair.local) could not verify \(pair.remote): \(condition.rawValue); "
                    + "check that it resolves \(pair.remote) to the bridge's listen address"
                actions.append(.note(LocalNote(.dialbackRefused, .error, self.connection, text)))
                if !self.claims.contains(where: { $0.state != .authorized }) { self.negotiationDeadline = nil }
                return .refused(
                    pair, .remoteServerTimeout, isLasting: Self.isLasting(condition), reason: text)
            }
        }
    }

    private mutating func authorized(
        _ pair: DomainPair, _ method: String, now: NIODeadline, _ actions: inout Deque<LocalAction>
    ) -> Outcome {
        if self.authorizedPairs.isEmpty { actions.append(.authenticated(self.connection)) }
        if let index = self.claims.firstIndex(where: { $0.pair == pair }) {
            self.claims[index].state = .authorized
        } else {
            self.claims.append((pair, .authorized))
        }
        let channel = self.isEncrypted ? "over TLS" : "in the clear"
        let text = "the bridge may speak for \(pair.remote) to \(pair.local): \(method) \(channel)"
        actions.append(.note(LocalNote(.streamAuthorized, .information, self.connection, text)))
        _ = self.proceed(now: now, &actions)
        if self.offersManagement, !self.avoidsManagement, !self.asksForManagement {
            // Stanzas may follow without waiting for the answer: those behind `enable` count if it is granted.
            self.asksForManagement = true
            actions.append(.write(self.connection, StreamXML.enable))
        }
        return .authorized(pair)
    }

    /// Whether a server that gives this reason means never, not now.
    private static func isLasting(_ error: DialbackError) -> Bool {
        switch error {
        case .policyViolation, .notAuthorized, .notAcceptable: true
        case .itemNotFound, .remoteConnectionFailed, .remoteServerNotFound, .remoteServerTimeout, .forbidden,
            .resourceConstraint, .undefinedCondition:
            false
        }
    }

    /// XEP-0198 on a stream that the bridge opened: the bridge sends stanzas, the server acknowledges.
    private mutating func managementReceived(_ element: Element, _ actions: inout Deque<LocalAction>) -> Outcome {
        switch element.name {
        case "enabled":
            return .managementEnabled
        case "failed":
            return .managementRefused
        case "a":
            guard let h = StreamXML.count(of: element) else {
                self.fail(.init(.invalidXML, text: "an acknowledgement without a count"), &actions)
                return .none
            }
            return .acknowledged(h)
        case "r":
            // The server sends no stanzas on this stream.
            if !self.isClosing { actions.append(.write(self.connection, StreamXML.acknowledgement(0))) }
            return .none
        default:
            return .none
        }
    }

    /// Ends a negotiation that leads nowhere, without blaming the server on the wire.
    private mutating func giveUp(_ reason: String, _ actions: inout Deque<LocalAction>) {
        actions.append(.note(LocalNote(.negotiationFailed, .error, self.connection, reason)))
        self.abort(reason, &actions, saying: StreamHeader.closingTag)
    }

    private mutating func abort(_ reason: String, _ actions: inout Deque<LocalAction>, saying farewell: String) {
        if !self.isClosing { actions.append(.write(self.connection, farewell)) }
        self.abort(reason, &actions)
    }

    private func noteUnsolicited(_ element: DialbackElement, _ actions: inout Deque<LocalAction>) {
        let name = element.name == .result ? "db:result" : "db:verify"
        let text = "a \(name) from \(element.from?.string ?? "nobody") that answers no question of this stream was ignored"
        actions.append(.note(LocalNote(.dialbackUnsolicited, .warning, self.connection, text)))
    }
}
