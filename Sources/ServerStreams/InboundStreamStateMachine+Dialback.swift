package import DequeModule
import XMPP

// Dialback of the receiving and of the authoritative server.
extension InboundStreamStateMachine {
    /// Step 1 arrived: the server claims a domain with a key (XEP-0220 §2.2.1).
    mutating func claimReceived(_ claim: DialbackElement, actions: inout Deque<LocalAction>) -> Outcome {
        guard claim.type == nil else {
            self.noteUnsolicited("db:result", claim, &actions)
            return .none
        }
        guard let from = claim.from, let to = claim.to else {
            self.fail(.init(.improperAddressing, text: "db:result needs to and from"), &actions)
            return .none
        }
        guard let streamID = self.streamID else { return .none }
        guard self.configuration.standsInFor(to) else {
            self.refuse(from, to, .itemNotFound, "\(to) is not reached through this bridge", &actions)
            return .none
        }
        guard self.configuration.isLocal(from) else {
            let text = "\(from) is not listed among the domains of this site ([site] domains)"
            self.refuse(from, to, .notAcceptable, text, &actions)
            return .none
        }
        guard self.configuration.allowsDialback else {
            self.refuse(from, to, .notAuthorized, "only a certificate proves a domain here", &actions)
            return .none
        }
        guard self.isEncrypted || !self.configuration.demandsTLS else {
            self.refuse(from, to, .policyViolation, "TLS is demanded before dialback", &actions)
            return .none
        }
        let pair = DomainPair(remote: to, local: from)
        if self.provedPairs.contains(pair) {
            // It is already true on this stream; a second key cannot make it less so.
            self.answer(pair, .valid, &actions)
            return .none
        }
        guard !self.pendingPairs.contains(pair) else { return .none }  // The first key will be answered.
        guard self.pendingPairs.count < self.configuration.maximumPendingVerifications,
            self.provedPairs.count + self.pendingPairs.count < self.configuration.maximumPairsPerStream
        else {
            self.refuse(from, to, .resourceConstraint, "too many pairs on one stream", &actions)
            return .none
        }
        guard !claim.key.isEmpty else {
            self.refuse(from, to, .notAcceptable, "there is no key", &actions)
            return .none
        }
        self.pendingPairs.append(pair)
        return .verify(
            DialbackVerification(pair: pair, streamID: streamID, key: claim.key, connection: self.connection))
    }

    /// Step 2 arrived: the server asks whether a key is the bridge's own (XEP-0220 §2.2.2). Needs no proof: the answer
    /// is worth something only to whom the key was sent.
    mutating func questionReceived(_ question: DialbackElement, actions: inout Deque<LocalAction>) {
        guard question.type == nil else {
            self.noteUnsolicited("db:verify", question, &actions)
            return
        }
        guard let from = question.from, let to = question.to else {
            self.fail(.init(.improperAddressing, text: "db:verify needs to and from"), &actions)
            return
        }
        self.hasAsked = true
        let answer = self.authority.answer(
            receiving: from, originating: to, streamID: question.id, key: question.key, isEncrypted: self.isEncrypted)
        let xml = StreamXML.dialbackAnswer(from: to, to: from, id: question.id ?? "", answer)
        actions.append(.write(self.connection, xml))
        switch answer {
        case .valid:
            break
        case .invalid:
            let text = "\(from) asked about a key for \(to) that the bridge did not make; somebody may pose as \(to)"
            // Not held against the stream: the server merely passes on what a stranger said to it.
            actions.append(.note(LocalNote(.dialbackInvalid, .warning, self.connection, text)))
        case .error(let condition):
            let text = "a question of \(from) about \(to) was answered with \(condition.rawValue)"
            actions.append(.note(LocalNote(.dialbackRefused, .information, self.connection, text)))
        }
    }

    /// Step 3 arrived elsewhere, or failed there: step 4 follows.
    ///
    /// Nothing happens where the stream or the claim is gone (XEP-0220 §2.1.2: dropped in silence).
    package mutating func verificationAnswered(
        pair: DomainPair, streamID: String, answer: DialbackAnswer, actions: inout Deque<LocalAction>
    ) -> Outcome {
        guard self.streamID == streamID, let index = self.pendingPairs.firstIndex(of: pair) else { return .none }
        self.pendingPairs.remove(at: index)
        if answer != .valid { self.claimFailed(pair.local) }
        switch answer {
        case .valid:
            self.state = .authorized(streamID: streamID)
            self.deadline = nil
            self.prove(pair, by: "by dialback", actions: &actions)
            self.answer(pair, .valid, &actions)
            return .proved(pair)
        case .invalid:
            let text = "the server of \(pair.local) does not know the key that was given for it"
            actions.append(.note(LocalNote(.dialbackInvalid, .warning, self.connection, text)))
            if self.isAuthorized {
                // Others speak on this stream; the error leaves them alone (XEP-0220 §2.2.1).
                self.answer(pair, .error(.forbidden), &actions)
            } else {
                self.answer(pair, .invalid, &actions)
                actions.append(.write(self.connection, StreamHeader.closingTag))
                self.abort(text, &actions)
            }
            return .none
        case .error(let condition):
            let text = "\(pair.local) could not be verified: \(condition.rawValue)"
            self.refuse(pair.local, pair.remote, condition, text, &actions)
            return .none
        }
    }

    /// The stream id that pending claims belong to; `nil` outside a running negotiation.
    private var streamID: String? {
        switch self.state {
        case .negotiating(let id), .authorized(let id): id
        case .awaitingHeader, .startingTLS, .closing, .closed: nil
        }
    }

    private func answer(_ pair: DomainPair, _ answer: DialbackAnswer, _ actions: inout Deque<LocalAction>) {
        actions.append(
            .write(self.connection, StreamXML.dialbackResult(from: pair.remote, to: pair.local, answer)))
    }

    private mutating func refuse(
        _ from: Domain, _ to: Domain, _ condition: DialbackError, _ reason: String,
        _ actions: inout Deque<LocalAction>
    ) {
        actions.append(.write(self.connection, StreamXML.dialbackResult(from: to, to: from, .error(condition))))
        actions.append(.note(LocalNote(.dialbackRefused, .warning, self.connection, reason)))
        self.countRefusal(&actions)
    }

    /// An answer on a stream on which nothing was asked. It changes nothing (XEP-0220 §3.1).
    private func noteUnsolicited(
        _ name: String, _ element: DialbackElement, _ actions: inout Deque<LocalAction>
    ) {
        let from = element.from?.string ?? "nobody"
        let text = "an unsolicited \(name) answer in the name of \(from) was ignored"
        actions.append(.note(LocalNote(.dialbackUnsolicited, .warning, self.connection, text)))
    }
}
