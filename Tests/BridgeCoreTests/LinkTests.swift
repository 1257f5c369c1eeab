import BridgeCore
import NIOCore
import Testing
import XMPP

/// When batches leave, and what becomes of what did not arrive.
@Suite struct LinkTests {
    @Test func `nothing is sent before the link is ready, and it is asked for once`() throws {
        let peer = TestPeer(TestPeer.policy())
        let first = try message("1")
        peer.local(first)
        #expect(peer.actions.contains(.wantLink))
        peer.local(try message("2"))
        #expect(!peer.actions.contains(.wantLink))
        peer.linkConnected()
        #expect(peer.sent.isEmpty)
        peer.linkReady()
        #expect(peer.batches.count == 1)
        #expect(peer.sent.count == 2)
        peer.linkReady()
        #expect(peer.actions.isEmpty)
    }

    @Test func `the first stanza on an idle link leaves at once, the next ones go together`() throws {
        let peer = TestPeer.ready()
        peer.local(try message("1"))
        #expect(peer.sent.count == 1)
        peer.linkReady()
        for number in 2..<6 {
            peer.advance(.milliseconds(2))
            peer.local(try message("\(number)"))
            #expect(peer.sent.isEmpty)
        }
        #expect(peer.armed == .milliseconds(20))
        peer.fireTimer()
        #expect(peer.batches.count == 1 && peer.sent.count == 4)
        // Idle again.
        peer.linkReady()
        peer.advance(.milliseconds(21))
        peer.local(try message("6"))
        #expect(peer.sent.count == 1)
    }

    @Test func `while a batch is on its way everything else waits, then goes as one batch`() throws {
        let peer = TestPeer.ready()
        peer.local(try message("1"))
        for number in 2..<10 {
            peer.advance(.seconds(1))
            peer.local(try message("\(number)"))
            #expect(peer.sent.isEmpty)
        }
        peer.linkReady()
        #expect(peer.batches.count == 1 && peer.sent.count == 8)
    }

    @Test func `a full batch does not wait`() throws {
        let peer = TestPeer.ready { $0.batchStanzas = 4 }
        peer.local(try message("1"))
        peer.linkReady()
        for number in 2..<5 {
            peer.local(try message("\(number)"))
            #expect(peer.sent.isEmpty)
        }
        peer.local(try message("5"))
        #expect(peer.sent.count == 4)
        let bySize = TestPeer.ready { $0.batchBytes = 1_000 }
        bySize.local(try message("1"))
        bySize.linkReady()
        bySize.local(try message(String(repeating: "x", count: 1_000)))
        #expect(bySize.sent.count == 1)
    }

    @Test func `what was not sent goes again, in order, before what came later`() throws {
        let peer = TestPeer.ready()
        peer.local(try message("0"))
        peer.linkReady()
        peer.advance(.milliseconds(1))
        let stanzas = try (1..<6).map { try message("\($0)") }
        for stanza in stanzas { peer.local(stanza) }
        peer.fireTimer()
        #expect(peer.sent == stanzas)
        let later = try message("later")
        peer.local(later)
        peer.linkDisconnected(unsent: stanzas)
        #expect(peer.actions.contains(.wantLink))
        #expect(peer.delivered.isEmpty)
        peer.linkConnected()
        peer.advance(.seconds(1))
        peer.linkReady()
        #expect(peer.sent == stanzas + [later])
    }

    @Test func `in doubt: messages and requests come back, answers and presence go again, once each`() throws {
        let peer = TestPeer.ready()
        peer.link(try iq("get", id: "theirs", from: juliet, to: romeo))
        let chat = try message("words")
        let request = try iq("get", id: "ours")
        let answer = try iq("result", id: "theirs")
        let gone = try presence(type: "unavailable")
        let subscribe = try presence(from: "romeo@ship.example", to: "juliet@shore.example", type: "subscribe")
        let here = try presence(from: "romeo@ship.example/other")
        let refusal = try errorStanza(from: romeo, to: juliet)
        peer.local(try message("first"))
        let batch = [chat, request, answer, gone, subscribe, here, refusal]
        for stanza in batch { peer.local(stanza) }
        peer.advance(.milliseconds(30))
        peer.linkReady()
        #expect(peer.sent == batch)
        peer.linkDisconnected(inDoubt: batch)
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout, .remoteServerTimeout])
        #expect(peer.delivered.map(\.kind) == [.message, .iq])
        let text = peer.delivered.first?.root.children.first?.children.last?.text
        #expect(text == "delivery unknown: the link broke while this was being sent")
        peer.linkConnected()
        peer.advance(.milliseconds(30))
        peer.linkReady()
        #expect(peer.sent == [answer, gone, subscribe, here, refusal])
        // The request was answered: what the peer says to it after all is too late.
        peer.link(try iq("result", id: "ours", from: juliet, to: romeo))
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(.inDoubt) == 7)
    }

    @Test func `peers d19: a stanza that breaks the link each time is given up, and the sender told`() throws {
        let peer = TestPeer.ready()
        let poison = try presence(from: "romeo@ship.example", to: "juliet@shore.example", type: "subscribe")
        peer.local(poison)
        #expect(peer.sent == [poison])
        for attempt in 1...3 {
            peer.linkDisconnected(inDoubt: [poison])
            peer.linkConnected()
            peer.advance(.seconds(1))
            if attempt == 3 {
                #expect(peer.count(.sentTooOften) == 1)
            }
            peer.linkReady()
            #expect(peer.sent == (attempt < 3 ? [poison] : []))
        }
        #expect(peer.status.bounces(with: .remoteServerTimeout) == 1)
    }

    @Test func `expired messages come back and are not sent`() throws {
        let peer = TestPeer(TestPeer.policy { $0.messageLifetime = .minutes(1) })
        peer.local(try message("1"))
        peer.pass(.seconds(30))
        peer.local(try message("2"))
        peer.pass(.seconds(30))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        #expect(peer.count(.expired) == 1)
        peer.linkConnected()
        peer.linkReady()
        #expect(peer.sent == [try message("2")])
    }

    @Test func `stale available presence goes silently, unavailable stays`() throws {
        let peer = TestPeer(TestPeer.policy())
        peer.local(try presence())
        peer.local(try presence(from: "romeo@ship.example/other", type: "unavailable"))
        peer.pass(.hours(48))
        #expect(peer.delivered.isEmpty)
        #expect(peer.status.expiredPresences == 1)
        peer.linkConnected()
        peer.linkReady()
        #expect(peer.sent.map(\.type) == [.unavailable])
    }

    @Test func `a full outbox refuses messages with wait, and presence silently`() throws {
        let peer = TestPeer(TestPeer.policy { $0.outboxStanzas = 1 })
        peer.local(try message("1"))
        peer.local(try message("2"))
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        #expect(peer.delivered.first?.root.children.first?.attribute("type") == "wait")
        peer.local(try presence(from: "romeo@ship.example/other"))
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(.outboxFull) == 2)
    }

    @Test func `the status says what waits and since when`() throws {
        let peer = TestPeer(TestPeer.policy())
        peer.advance(.seconds(10))
        peer.local(try message("1"))
        peer.advance(.seconds(10))
        peer.local(try presence())
        let status = peer.status
        #expect(status.name == "shore" && status.link == .down)
        #expect(status.queuedStanzas == 2)
        #expect(status.queuedBytes == (try message("1").byteCount + presence().byteCount))
        #expect(status.oldestArrival == .seconds(10))
        #expect(status.events.isEmpty && status.bounces.isEmpty)
        peer.linkConnected()
        #expect(peer.status.link == .busy)
        peer.linkReady()
        #expect(peer.status.sent.messages == 1 && peer.status.sent.presences == 1 && peer.status.sent.iqs == 0)
        peer.linkReady()
        #expect(peer.status.link == .ready && peer.status.oldestArrival == nil)
        #expect(peer.debugState == "shore: link ready, 0 waiting, 0+0 asked")
    }

    @Test func `notes come at powers of two`() throws {
        let peer = TestPeer(TestPeer.policy { $0.outboxStanzas = 0 })
        var noted: [UInt64] = []
        for number in 0..<100 {
            peer.local(try message("\(number)"))
            for case .note(let note) in peer.actions { noted.append(note.count) }
        }
        #expect(noted == [1, 2, 4, 8, 16, 32, 64])
    }

    // MARK: Shutdown

    @Test func `at shutdown a ready link takes what it can, the rest is answered, and nothing is kept`() throws {
        let peer = TestPeer.ready { $0.batchStanzas = 3 }
        peer.local(try message("0"))
        peer.local(try iq("get", id: "asked"))
        peer.link(try iq("get", id: "theirs", from: juliet, to: romeo))
        for number in 1..<5 { peer.local(try message("\(number)", id: "\(number)")) }
        // Busy with the first message: nothing more can leave.
        peer.shutdown()
        #expect(peer.sent.isEmpty)
        #expect(peer.delivered.count == 5)
        #expect(peer.delivered.allSatisfy { $0.errorCondition == .remoteServerTimeout })
        #expect(peer.actions.contains(.disarm))
        #expect(peer.status.queuedStanzas == 0)
        #expect(peer.status.pendingLocalRequests == 0 && peer.status.pendingRemoteRequests == 0)
        // What the transport gives back is answered too, but no request twice.
        peer.linkDisconnected(unsent: [try message("0"), try iq("get", id: "asked")])
        #expect(peer.delivered.count == 1)
        peer.local(try message("late"))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        peer.local(try iq("get", id: "late"))
        #expect(peer.delivered.count == 1)
        #expect(peer.armed == nil)
        peer.shutdown()
        #expect(peer.actions.isEmpty)
    }

    @Test func `at shutdown the last batch leaves with answers to the peer's requests`() throws {
        let peer = TestPeer.ready()
        peer.local(try message("0"))
        peer.linkReady()
        peer.local(try message("1"))
        peer.link(try iq("get", id: "theirs", from: juliet, to: romeo))
        peer.shutdown()
        #expect(peer.sent.count == 2)
        #expect(peer.sent.contains { $0.id == "theirs" && $0.errorCondition == .remoteServerTimeout })
        #expect(peer.delivered.isEmpty)
    }
}
