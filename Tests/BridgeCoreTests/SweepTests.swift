import BridgeCore
import NIOCore
import TestSupport
import Testing
import XMPP

/// All inputs in all states, from a seed: nothing may trap, and the books must balance.
@Suite struct SweepTests {
    @Test(arguments: Array(1...10) as [UInt64])
    func `any input in any state leaves the machine sound`(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let peer = TestPeer(
            TestPeer.policy { policy in
                policy.outboxStanzas = 50
                policy.maximumRequests = 20
                policy.maximumRooms = 3
                policy.batchStanzas = 7
                policy.iqTimeout = .seconds(20)
                policy.messageLifetime = .seconds(60)
                policy.violationLimit = 5
            })
        let addresses = [
            "romeo@ship.example/deck", "ship.example", "room@club.ship.example/nick", "juliet@shore.example/balcony",
            "shore.example", "room@conference.shore.example/nick", "mallory@elsewhere.example", "bad@@x", "",
        ]
        let types = [
            "", "chat", "error", "groupchat", "headline", "normal", "get", "set", "result", "unavailable", "subscribe",
            "subscribed", "unsubscribe", "unsubscribed", "probe", "nonsense",
        ]
        let payloads = ["", "<body>x</body>", mucUser, "<error type='cancel'/>", "<x xmlns='http://jabber.org/protocol/muc'/>"]
        func anyStanza() throws -> Stanza {
            let kind = ["message", "presence", "iq", "iq", "features"].randomElement(using: &random) ?? ""
            var xml = "<\(kind)"
            for (name, values) in [("from", addresses), ("to", addresses), ("type", types), ("id", ["", "1", "2"])] {
                let value = values.randomElement(using: &random) ?? ""
                if !value.isEmpty { xml += " \(name)='\(value)'" }
            }
            return try stanza(xml + ">\(payloads.randomElement(using: &random) ?? "")</\(kind)>")
        }
        var inFlight: [Stanza] = []
        var isConnected = false
        var isStopped = false
        for step in 0..<6_000 {
            switch Int.random(in: 0..<16, using: &random) {
            case 0..<4: peer.local(try anyStanza())
            case 4..<8: peer.link(try anyStanza())
            case 8: peer.linkOversize(try anyStanza(), limit: 10_000)
            case 9:
                peer.linkConnected()
                isConnected = true
            case 10, 11:
                if isConnected { inFlight = [] }
                peer.linkReady()
            case 12:
                let cut = Int.random(in: 0...inFlight.count, using: &random)
                peer.linkDisconnected(unsent: Array(inFlight[cut...]), inDoubt: Array(inFlight[..<cut]))
                inFlight = []
                isConnected = false
            case 13:
                peer.localDeliveryFailed(
                    try anyStanza(), StanzaErrorCondition.allCases.randomElement(using: &random) ?? .gone,
                    StanzaErrorType.allCases.randomElement(using: &random) ?? .wait)
            case 14:
                peer.fireTimer()
            default:
                peer.advance(.milliseconds(Int64.random(in: 0..<5_000, using: &random)))
                if step > 5_500, Int.random(in: 0..<20, using: &random) == 0 {
                    peer.shutdown()
                    isStopped = true
                }
            }
            if !peer.sent.isEmpty { inFlight = peer.sent }
            let status = peer.status
            #expect(peer.batches.count <= 1)
            #expect(peer.sent.count <= 7)
            // The limit, its reserve, and one batch that came back.
            #expect(status.queuedStanzas <= 50 + 70 + 7)
            #expect(status.pendingLocalRequests <= 20 && status.pendingRemoteRequests <= 20)
            #expect(status.knownLocalRooms <= 3 && status.knownRemoteRooms <= 3)
            for stanza in peer.sent {
                #expect(stanza.from?.domain.string.hasSuffix("ship.example") == true)
                #expect(stanza.to?.domain.string.hasSuffix("shore.example") == true)
            }
            for stanza in peer.delivered where !stanza.isError {
                #expect(stanza.from?.domain.string.hasSuffix("shore.example") == true)
                #expect(stanza.to?.domain.string.hasSuffix("ship.example") == true)
            }
            for stanza in peer.delivered + peer.sent where stanza.isError && stanza.kind != .iq {
                #expect(stanza.to?.domain.string.hasPrefix("conference.") == false)
            }
            if isStopped {
                #expect(status.queuedStanzas == 0 && status.pendingLocalRequests == 0)
            }
        }
    }
}
