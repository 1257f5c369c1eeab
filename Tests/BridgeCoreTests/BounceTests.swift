import BridgeCore
import NIOCore
import Testing
import XMPP

/// The table of what the bridge answers in somebody else's name.
@Suite struct BounceTests {
    @Test func `the table answers every kind and type, or says why not`() {
        let kinds: [StanzaKind] = [.message, .presence, .iq, .other]
        for kind in kinds {
            for type in StanzaType.allCases {
                for isFromRoom in [false, true] {
                    for isOnlyMetadata in [false, true] {
                        let verdict = BounceTable.verdict(
                            kind: kind, type: type, isFromRoom: isFromRoom, isOnlyMetadata: isOnlyMetadata)
                        // Peers d18: an error is never answered, nor a result; this comes before everything else.
                        if kind == .other {
                            #expect(verdict == .silence(.isNoStanza))
                        } else if type == .error || kind == .iq && type == .result {
                            #expect(verdict == .silence(.isAnswer))
                        } else if kind == .iq {
                            #expect(verdict == .answer)
                        } else if isFromRoom {
                            #expect(verdict == .silence(.isFromRoom))
                        } else if kind == .presence {
                            #expect(verdict == (type == .subscribe ? .answer : .silence(.isPresence)))
                        } else {
                            #expect(verdict == (isOnlyMetadata ? .silence(.isOnlyMetadata) : .answer))
                        }
                    }
                }
            }
        }
    }

    @Test func `each reason has the condition that the table of replies names`() {
        let expected: [(BounceReason, StanzaErrorCondition, StanzaErrorType)] = [
            (.queueFull, .resourceConstraint, .wait), (.expired, .remoteServerTimeout, .wait),
            (.requestTimedOut, .remoteServerTimeout, .wait), (.linkDown, .remoteServerTimeout, .wait),
            (.requestTableFull, .resourceConstraint, .wait),
            (.deliveryUnknown, .remoteServerTimeout, .wait), (.sentTooOften, .remoteServerTimeout, .wait),
            (.shuttingDown, .remoteServerTimeout, .wait), (.oversize(limit: 10_000), .policyViolation, .modify),
            (.answerOversize(limit: 10_000), .policyViolation, .cancel), (.notServed, .remoteServerNotFound, .cancel),
            (.malformed, .badRequest, .modify), (.localDelivery(.gone, .cancel), .gone, .cancel),
        ]
        for (reason, condition, type) in expected {
            let reply = BounceTable.reply(to: reason)
            #expect(reply.condition == condition)
            #expect(reply.type == type)
        }
        #expect(
            BounceTable.reply(to: .deliveryUnknown).text
                == "delivery unknown: the link broke while this was being sent")
    }

    @Test func `peers d18: an error that cannot be delivered is answered by nothing, in either direction`() throws {
        let peer = TestPeer.ready { $0.outboxStanzas = 0 }
        for kind in ["message", "presence"] {
            let fromThere = try errorStanza(from: juliet, to: romeo, kind: kind)
            peer.link(fromThere)
            #expect(peer.delivered == [fromThere])
            peer.localDeliveryFailed(fromThere, .remoteServerTimeout, .wait)
            #expect(peer.delivered.isEmpty && peer.sent.isEmpty)
        }
        // Errors have the outbox's reserve; past it they go, and nobody is told.
        peer.linkDisconnected()
        for number in 0..<80 {
            peer.local(try errorStanza(from: "romeo\(number)@ship.example", to: juliet))
            #expect(peer.delivered.isEmpty)
        }
        #expect(peer.count(.outboxFull) == 16)
    }

    @Test func `peers d18: errors have a budget on the link`() throws {
        let peer = TestPeer.ready()
        var answered = 0
        for number in 0..<11_000 {
            let chat = try message("x", from: "u\(number)@shore.example", to: romeo)
            peer.link(chat)
            peer.localDeliveryFailed(chat, .remoteServerTimeout, .wait)
            answered += peer.sent.count
            peer.linkReady()
            answered += peer.sent.count
        }
        while peer.status.queuedStanzas > 0 {
            peer.pass(.milliseconds(20))
            answered += peer.sent.count
            peer.linkReady()
            answered += peer.sent.count
        }
        #expect(answered == 10_000)
        #expect(peer.count(.bounceBudgetSpent) == 1_000)
        // It comes back with time.
        peer.advance(.seconds(1))
        peer.localDeliveryFailed(try message("x", from: juliet, to: romeo), .remoteServerTimeout, .wait)
        #expect(peer.sent.count == 1)
    }

    @Test func `an oversized stanza comes back without its payload`() throws {
        let peer = TestPeer.ready()
        // The stub has no children; it is not taken for a message that nobody waits for.
        peer.linkOversize(try stanza("<message from='\(juliet)' to='\(romeo)' type='chat' id='7'/>"), limit: 524_288)
        #expect(peer.sent.map(\.errorCondition) == [.policyViolation])
        #expect(peer.sent.first?.id == "7")
        #expect(peer.sent.first?.root.children.count == 1)
        #expect(peer.delivered.isEmpty)
        peer.advance(.seconds(1))
        peer.linkReady()
        peer.linkOversize(try stanza("<presence from='\(juliet)' to='\(romeo)'/>"), limit: 524_288)
        #expect(peer.sent.isEmpty)
        peer.linkOversize(try stanza("<iq from='\(juliet)' to='\(romeo)' type='set' id='8'/>"), limit: 524_288)
        #expect(peer.sent.map(\.errorCondition) == [.policyViolation])
        #expect(peer.status.pendingRemoteRequests == 0)
        #expect(peer.count(.oversize) == 3)
    }

    @Test func `an oversized answer is replaced by an error to the one who asked`() throws {
        let peer = TestPeer.ready()
        peer.local(try iq("get", id: "vcard"))
        peer.linkOversize(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='vcard'/>"), limit: 524_288)
        #expect(peer.delivered.map(\.errorCondition) == [.policyViolation])
        #expect(peer.delivered.first?.id == "vcard")
        #expect(peer.delivered.first?.to == JID(romeo))
        // And only once.
        peer.linkOversize(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='vcard'/>"), limit: 524_288)
        #expect(peer.delivered.isEmpty && peer.sent.isEmpty)
    }

    @Test func `the far side learns that our server could not be reached`() throws {
        let peer = TestPeer.ready()
        let chat = try message("hi", from: juliet, to: romeo)
        peer.link(chat)
        peer.localDeliveryFailed(chat, .remoteServerNotFound, .cancel)
        #expect(peer.sent.map(\.errorCondition) == [.remoteServerNotFound])
        #expect(peer.sent.first?.to == JID(juliet))
        peer.linkReady()
        peer.advance(.seconds(1))

        let subscribe = try presence(from: "juliet@shore.example", to: "romeo@ship.example", type: "subscribe")
        peer.link(subscribe)
        peer.localDeliveryFailed(subscribe, .remoteServerTimeout, .wait)
        #expect(peer.sent.map(\.errorCondition) == [.remoteServerTimeout])
        peer.linkReady()
        peer.advance(.seconds(1))

        let here = try presence(from: juliet, to: romeo)
        peer.link(here)
        peer.localDeliveryFailed(here, .remoteServerTimeout, .wait)
        #expect(peer.sent.isEmpty)

        let ask = try iq("get", from: juliet, to: romeo)
        peer.link(ask)
        peer.localDeliveryFailed(ask, .remoteServerTimeout, .wait)
        #expect(peer.sent.map(\.errorCondition) == [.remoteServerTimeout])
        // The request has had its answer: a second failure or a late answer adds nothing.
        peer.localDeliveryFailed(ask, .remoteServerTimeout, .wait)
        peer.local(try iq("result", from: romeo, to: juliet))
        peer.linkReady()
        #expect(peer.sent.isEmpty && peer.status.queuedStanzas == 0)
        #expect(peer.count(.answerDiscarded) == 1)
    }

    @Test(arguments: [
        "", "<composing xmlns='http://jabber.org/protocol/chatstates'/><thread>t</thread>",
        "<received xmlns='urn:xmpp:receipts' id='1'/>", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
    ])
    func `chat states and receipts by themselves are not bounced`(payload: String) throws {
        let peer = TestPeer.ready()
        let state = try stanza("<message from='\(juliet)' to='\(romeo)' type='chat'>\(payload)</message>")
        peer.link(state)
        #expect(peer.delivered == [state])
        peer.localDeliveryFailed(state, .remoteServerTimeout, .wait)
        #expect(peer.sent.isEmpty)
        // With words in it, it is.
        let words = try stanza("<message from='\(juliet)' to='\(romeo)' type='chat'>\(payload)<body>x</body></message>")
        peer.link(words)
        peer.localDeliveryFailed(words, .remoteServerTimeout, .wait)
        #expect(peer.sent.count == 1)
    }
}
