package import DequeModule
package import XMPP

// Header, features, STARTTLS and SASL EXTERNAL of the receiving server.
extension InboundStreamStateMachine {
    /// The other side opened its stream, for the first time or again after a restart.
    ///
    /// - Parameter streamID: a fresh id that nobody can guess; dialback keys hang on it (XEP-0220 §2.1.1).
    package mutating func streamOpened(
        _ header: StreamHeader, streamID: String, actions: inout Deque<LocalAction>
    ) {
        switch self.state {
        case .awaitingHeader:
            break
        case .startingTLS, .negotiating, .authorized:
            self.fail(.init(.badFormat, text: "a second header without a restart"), &actions)
            return
        case .closing, .closed:
            return
        }
        let problem = self.adopt(header)
        // An answer without a version tells a peer from before features that none will come (RFC 6120 §4.7.5).
        let version = StreamVersion(header.version)
        var answer = self.header(id: streamID)
        if version?.hasFeatures == false { answer.version = nil }
        actions.append(.write(self.connection, answer.openingTag()))
        if self.isAuthorized {
            self.state = .authorized(streamID: streamID)
            self.deadline = nil
        } else {
            self.state = .negotiating(streamID: streamID)
        }
        if let problem {
            self.fail(problem, &actions)
            return
        }
        guard let version else {
            self.fail(.init(.unsupportedVersion, text: "the version is not two numbers"), &actions)
            return
        }
        guard version.hasFeatures else {
            if self.configuration.demandsTLS && !self.isEncrypted {
                let text = "TLS is demanded here, which needs version 1.0"
                self.fail(.init(.unsupportedVersion, text: text), &actions)
            } else if !self.configuration.allowsDialback {
                let text = "a certificate is demanded here, which needs version 1.0"
                self.fail(.init(.unsupportedVersion, text: text), &actions)
            }
            return
        }
        self.offerFeatures(&actions)
    }

    /// Takes the addresses of a header; returns what is wrong with it.
    private mutating func adopt(_ header: StreamHeader) -> StreamError? {
        guard header.contentNamespace == XMLNamespace.server else {
            return StreamError(.invalidNamespace, text: "only \(XMLNamespace.server) is spoken here")
        }
        if let to = header.to {
            guard let domain = Domain(to) else {
                return StreamError(.improperAddressing, text: "the header's to is no domain")
            }
            if let known = self.remoteDomain {
                guard known == domain else {
                    // Whoever was proved was proved towards the first one.
                    return StreamError(.invalidFrom, text: "the header's to has changed")
                }
            } else {
                guard self.configuration.standsInFor(domain) else {
                    return StreamError(.hostUnknown, text: "\(domain) is not reached through this bridge")
                }
                self.remoteDomain = domain
            }
        } else if self.remoteDomain == nil {
            return StreamError(.improperAddressing, text: "the header has no to")
        }
        guard let from = header.from else { return nil }  // Dialback names the domain by itself; EXTERNAL is not offered.
        guard let domain = Domain(from) else {
            return StreamError(.improperAddressing, text: "the header's from is no domain")
        }
        if let known = self.localDomain {
            guard known == domain else { return StreamError(.invalidFrom, text: "the header's from has changed") }
            return nil
        }
        guard !self.isAuthorized else {
            return StreamError(.invalidFrom, text: "the header's from has changed")
        }
        guard self.configuration.isLocal(domain) else {
            let text =
                self.configuration.standsInFor(domain)
                ? "\(domain) is a domain of the other site" : "\(domain) is not listed among the domains of this site"
            return StreamError(.invalidFrom, text: text)
        }
        self.localDomain = domain
        return nil
    }

    private mutating func offerFeatures(_ actions: inout Deque<LocalAction>) {
        let configuration = self.configuration
        var offer = StreamXML.Offer()
        if self.isEncrypted || self.isAuthenticated {
            if configuration.allowsExternal, !self.isAuthenticated {
                if let local = self.localDomain, self.certificateProves(local) {
                    offer.external = true
                } else if !configuration.allowsDialback {
                    self.refuseCertificate(&actions)
                    return
                } else {
                    self.noteCertificate(&actions)
                }
            }
            offer.dialback = configuration.allowsDialback
        } else {
            offer.startTLS = configuration.encryption != .off
            offer.requiresTLS = configuration.demandsTLS
            offer.dialback = configuration.allowsDialback && !configuration.demandsTLS
        }
        // Stanzas can be acknowledged once something is proved; after dialback no further features would say so.
        offer.management = configuration.managesStreams && (self.isAuthenticated || offer.dialback)
        actions.append(.write(self.connection, StreamXML.features(offer)))
    }

    private func certificateProves(_ domain: Domain) -> Bool {
        self.isEncrypted && self.certificate?.matches(domain) == true
    }

    private var certificateProblem: String {
        guard let certificate = self.certificate else { return "the server showed no certificate" }
        guard certificate.isValid else {
            return "the server's certificate is not valid: \(certificate.failure ?? "no reason is known")"
        }
        return "the server's certificate does not name \(self.localDomain?.string ?? "the sender, who named no domain")"
    }

    private mutating func refuseCertificate(_ actions: inout Deque<LocalAction>) {
        let problem = self.certificateProblem
        actions.append(.note(LocalNote(.certificateRefused, .warning, self.connection, problem)))
        self.fail(.init(.notAuthorized, text: problem), &actions)
    }

    private func noteCertificate(_ actions: inout Deque<LocalAction>) {
        guard self.certificate != nil else { return }
        let text = self.certificateProblem + "; dialback is asked for instead"
        actions.append(.note(LocalNote(.certificateRefused, .information, self.connection, text)))
    }

    /// A stream-level element: anything that is not a stanza.
    mutating func elementReceived(_ element: Element, actions: inout Deque<LocalAction>) -> Outcome {
        if let error = StreamError(element) {
            self.peerFailed(error, &actions)
            return .none
        }
        guard self.state != .closing else { return .none }
        if let dialback = DialbackElement(element) {
            switch dialback.name {
            case .result: return self.claimReceived(dialback, actions: &actions)
            case .verify: self.questionReceived(dialback, actions: &actions)
            }
            return .none
        }
        if element.namespace == XMLNamespace.streamManagement, self.configuration.managesStreams {
            return self.managementReceived(element, &actions)
        }
        switch (element.name, element.namespace) {
        case ("starttls", XMLNamespace.tls):
            self.startTLSReceived(&actions)
            return .none
        case ("auth", XMLNamespace.sasl):
            return self.authReceived(element, &actions)
        case ("abort", XMLNamespace.sasl), ("response", XMLNamespace.sasl):
            self.refuseSASL(.aborted, &actions)
            return .none
        default:
            self.fail(.init(.unsupportedStanzaType), &actions)
            return .none
        }
    }

    private mutating func peerFailed(_ error: StreamError, _ actions: inout Deque<LocalAction>) {
        let text = "the server ended its stream with " + LocalNote.describe(error)
        self.isBroken = error.condition != .connectionTimeout
        actions.append(.note(LocalNote(.streamErrorReceived, LocalNote.severity(of: error.condition), self.connection, text)))
        if self.state != .closing {
            actions.append(.write(self.connection, StreamHeader.closingTag))
        }
        self.abort(text, &actions)
    }

    private mutating func startTLSReceived(_ actions: inout Deque<LocalAction>) {
        // Never a second time, and never under a proof that was made in the clear (RFC 6120 §5.4.2.2 for the refusal).
        let isPossible =
            self.configuration.encryption != .off && !self.isEncrypted && !self.isAuthorized
            && self.pendingPairs.isEmpty
        guard isPossible, let domain = self.remoteDomain else {
            actions.append(.write(self.connection, StreamXML.tlsFailure + StreamHeader.closingTag))
            let text = "the server asked for TLS where it is not possible"
            actions.append(.note(LocalNote(.negotiationFailed, .warning, self.connection, text)))
            self.abort(text, &actions)
            return
        }
        self.state = .startingTLS
        actions.append(.write(self.connection, StreamXML.proceed))
        actions.append(.restartReader(self.connection))
        actions.append(.startTLS(self.connection, asServer: true, domain: domain, peerName: nil))
    }

    private mutating func authReceived(_ element: Element, _ actions: inout Deque<LocalAction>) -> Outcome {
        guard !self.isAuthorized, self.pendingPairs.isEmpty else {
            self.refuseSASL(.notAuthorized, &actions)
            return .none
        }
        guard element.attribute("mechanism") == "EXTERNAL", self.configuration.allowsExternal else {
            self.refuseSASL(.invalidMechanism, &actions)
            return .none
        }
        guard self.isEncrypted else {
            self.refuseSASL(.encryptionRequired, &actions)
            return .none
        }
        guard let local = self.localDomain, let remote = self.remoteDomain, self.certificateProves(local) else {
            actions.append(.note(LocalNote(.certificateRefused, .warning, self.connection, self.certificateProblem)))
            self.refuseSASL(.notAuthorized, &actions)
            return .none
        }
        // Nothing and "=" both stand for "whom the certificate names" (RFC 6120 §6.4.2, XEP-0178 §3 step 11); anything
        // else must be the header's domain and no other that the certificate may name as well.
        let response = DialbackElement.trimmed(element.text)
        if !response.isEmpty, response != "=" {
            guard let identity = Base64.decode(response) else {
                self.refuseSASL(.incorrectEncoding, &actions)
                return .none
            }
            guard Domain(identity) == local else {
                self.refuseSASL(.invalidAuthzid, &actions)
                return .none
            }
        }
        let pair = DomainPair(remote: remote, local: local)
        actions.append(.write(self.connection, StreamXML.saslSuccess))
        actions.append(.restartReader(self.connection))
        self.isAuthenticated = true
        self.state = .awaitingHeader
        self.prove(pair, by: "by its certificate", actions: &actions)
        return .proved(pair)
    }

    private mutating func refuseSASL(_ condition: SASLFailure, _ actions: inout Deque<LocalAction>) {
        actions.append(.write(self.connection, StreamXML.saslFailure(condition)))
        self.countRefusal(&actions)
    }

    /// Ends the stream of somebody who tries again and again (RFC 6120 §6.4.5); one who has proved something may.
    mutating func countRefusal(_ actions: inout Deque<LocalAction>) {
        guard !self.isAuthorized else { return }
        self.refusals += 1
        if self.refusals >= self.configuration.maximumRefusals {
            self.fail(.init(.policyViolation, text: "too many refused attempts"), &actions)
        }
    }
}
