import BridgeCore
import NIOCore
import Testing
import XMPP

/// Every IQ request that crosses gets exactly one answer.
@Suite struct RequestTests {
    @Test(arguments: ["result", "error"])
    func `an answer passes once; a second and an unknown one are discarded and counted`(type: String) throws {
        let peer = TestPeer.ready()
        peer.local(try iq("get"))
        let answer = try iq(type, from: juliet, to: romeo)
        peer.link(answer)
        #expect(peer.delivered == [answer])
        peer.link(answer)
        #expect(peer.delivered.isEmpty)
        peer.link(try iq(type, id: "never asked", from: juliet, to: romeo))
        peer.link(try iq(type, from: "juliet@shore.example", to: romeo))
        #expect(peer.delivered.isEmpty)
        #expect(peer.count(.answerDiscarded) == 3)
    }

    @Test func `the same for requests of the peer`() throws {
        let peer = TestPeer.ready()
        let request = try iq("set", from: juliet, to: romeo)
        peer.link(request)
        #expect(peer.delivered == [request])
        let answer = try iq("result", from: romeo, to: juliet)
        peer.local(answer)
        #expect(peer.sent == [answer])
        peer.linkReady()
        peer.local(answer)
        #expect(peer.sent.isEmpty && peer.status.queuedStanzas == 0)
        #expect(peer.count(.answerDiscarded) == 1)
    }

    @Test func `addresses are compared as addresses`() throws {
        let peer = TestPeer.ready()
        peer.local(try iq("get", to: "Juliet@Shore.Example/balcony"))
        peer.link(try iq("result", from: juliet, to: romeo))
        #expect(peer.delivered.count == 1)
    }

    @Test func `the timer answers, and what comes later is discarded`() throws {
        let peer = TestPeer.ready { $0.iqTimeout = .seconds(30) }
        peer.local(try iq("get", id: "1"))
        peer.linkReady()
        peer.pass(.seconds(10))
        peer.link(try iq("get", id: "2", from: juliet, to: romeo))
        peer.pass(.seconds(19))
        #expect(peer.delivered.isEmpty)
        peer.pass(.seconds(1))
        #expect(peer.delivered.map(\.errorCondition) == [.remoteServerTimeout])
        #expect(peer.delivered.first?.to == JID(romeo))
        #expect(peer.delivered.first?.from == JID(juliet))
        #expect(peer.delivered.first?.id == "1")
        peer.link(try iq("result", id: "1", from: juliet, to: romeo))
        #expect(peer.delivered.isEmpty)
        peer.pass(.seconds(10))
        #expect(peer.sent.map(\.errorCondition) == [.remoteServerTimeout])
        #expect(peer.sent.first?.id == "2")
        peer.local(try iq("result", id: "2", from: romeo, to: juliet))
        #expect(peer.count(.answerDiscarded) == 2)
        #expect(peer.status.pendingLocalRequests == 0 && peer.status.pendingRemoteRequests == 0)
    }

    @Test func `a request that waits too long is answered once and never sent`() throws {
        let peer = TestPeer(TestPeer.policy { $0.iqTimeout = .seconds(30) })
        peer.local(try iq("get"))
        #expect(peer.actions.contains(.wantLink))
        peer.pass(.seconds(60))
        #expect(peer.delivered.count == 1)
        peer.linkConnected()
        peer.linkReady()
        #expect(peer.sent.isEmpty)
    }

    @Test func `as many answers pass as there were requests with the same addresses and id`() throws {
        let peer = TestPeer.ready { $0.iqTimeout = .seconds(30) }
        for _ in 0..<3 {
            peer.local(try iq("get", id: "same"))
            peer.linkReady()
            peer.advance(.seconds(5))
        }
        #expect(peer.status.pendingLocalRequests == 3)
        peer.link(try iq("result", id: "same", from: juliet, to: romeo))
        #expect(peer.delivered.count == 1)
        // The answered one was the oldest: its timer is gone, the other two remain.
        peer.pass(.seconds(60))
        #expect(peer.delivered.count == 2)
        #expect(peer.status.pendingLocalRequests == 0)
        peer.link(try iq("result", id: "same", from: juliet, to: romeo))
        #expect(peer.delivered.isEmpty)
    }

    @Test func `an IQ without id or of no known type is refused`() throws {
        let peer = TestPeer.ready()
        for xml in ["type='get'", "id='1'", "type='fetch' id='1'"] {
            peer.local(try stanza("<iq from='\(romeo)' to='\(juliet)' \(xml)><a xmlns='b'/></iq>"))
            #expect(peer.sent.isEmpty)
            #expect(peer.delivered.map(\.errorCondition) == [.badRequest])
            peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' \(xml)><a xmlns='b'/></iq>"))
            #expect(peer.delivered.isEmpty)
            #expect(peer.sent.map(\.errorCondition) == [.badRequest])
            peer.advance(.seconds(1))
            peer.linkReady()
        }
        #expect(peer.count(.malformedIQ) == 6)
    }

    @Test func `the table is bounded; what does not fit is refused at once`() throws {
        let peer = TestPeer.ready { policy in
            policy.maximumRequests = 5
            policy.batchStanzas = 100
        }
        for number in 0..<8 { peer.link(try iq("get", id: "\(number)", from: juliet, to: romeo)) }
        #expect(peer.status.pendingRemoteRequests == 5)
        #expect(peer.count(.requestTableFull) == 3)
        for number in 0..<5 {
            peer.local(try iq("get", id: "\(number)"))
            #expect(peer.delivered.isEmpty)
        }
        peer.local(try iq("get", id: "5"))
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        // An answer makes room.
        peer.link(try iq("result", id: "3", from: juliet, to: romeo))
        peer.local(try iq("get", id: "6"))
        #expect(peer.delivered.isEmpty)
        #expect(peer.status.pendingLocalRequests == 5)
    }

    @Test func `a large request is remembered without its payload`() throws {
        let peer = TestPeer.ready { $0.iqTimeout = .seconds(30) }
        let photo = String(repeating: "A", count: 200_000)
        let set = try stanza(
            "<iq from='\(romeo)' to='\(juliet)' type='set' id='a&amp;&lt;b'><vCard xmlns='vcard-temp'>\(photo)</vCard></iq>")
        peer.local(set)
        #expect(peer.sent == [set])
        peer.link(try stanza("<iq from='\(juliet)' to='\(romeo)' type='result' id='a&amp;&lt;b'/>"))
        #expect(peer.delivered.count == 1)
        peer.local(set)
        peer.pass(.seconds(31))
        #expect(peer.delivered.map(\.id) == ["a&<b"])
    }

    @Test func `a queue that is full answers a request, and forgets it`() throws {
        let peer = TestPeer(TestPeer.policy { $0.outboxStanzas = 0 })
        peer.local(try iq("get"))
        #expect(peer.delivered.map(\.errorCondition) == [.resourceConstraint])
        #expect(peer.status.pendingLocalRequests == 0)
        peer.pass(.hours(1))
        #expect(peer.delivered.isEmpty)
    }

    @Test func `a shorter timeout holds for what comes next, whatever waits from before`() throws {
        let peer = TestPeer.ready { $0.iqTimeout = .minutes(60) }
        peer.local(try iq("get", id: "1"))
        peer.linkReady()
        peer.policyChanged(TestPeer.policy { $0.iqTimeout = .minutes(1) })
        peer.local(try iq("get", id: "2"))
        peer.linkReady()
        peer.pass(.minutes(2))
        #expect(peer.delivered.map(\.id) == ["2"])
        peer.pass(.minutes(60))
        #expect(peer.delivered.map(\.id) == ["1"])
        #expect(peer.status.pendingLocalRequests == 0)
    }
}
