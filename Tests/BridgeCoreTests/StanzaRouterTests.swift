import BridgeCore
import Testing
import XMPP

@Suite("Routing to peers")
struct StanzaRouterTests {
    @Test("Each domain finds its peer, by exact name and by wildcard, again and again, and strangers none")
    func routes() throws {
        var router = StanzaRouter(
            peers: [["hq.example", "*.hq.example"], ["ship.example"], ["*.fleet.example"]].map { names in
                names.compactMap { DomainPattern($0) }
            })
        let expected: [(String, Int?)] = [
            ("hq.example", 0), ("talk.hq.example", 0), ("a.b.hq.example", 0), ("ship.example", 1),
            ("x.ship.example", nil),
            ("fleet.example", nil), ("a.fleet.example", 2), ("example", nil),
        ]
        for _ in 0..<3 {
            for (domain, peer) in expected {
                let to = try message("x", from: "a@here.example", to: "b@\(domain)/r")
                #expect(router.recipient(of: to) == peer, "\(domain)")
                let from = try message("x", from: "b@\(domain)/r", to: "a@here.example")
                #expect(router.sender(of: from) == peer, "\(domain)")
            }
        }
    }

    @Test("More domains than the table has places are routed right")
    func manyDomains() throws {
        var router = StanzaRouter(peers: [["*.hq.example"].compactMap { DomainPattern($0) }])
        for round in 0..<2 {
            for number in 0..<3_000 {
                let stanza = try message("\(round)", from: "a@here.example", to: "b@d\(number).hq.example")
                #expect(router.recipient(of: stanza) == 0)
            }
        }
    }
}
