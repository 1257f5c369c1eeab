import BridgeCore
import NIOCore
import Outbox
import Profiles
import TestSupport
import Testing
import XMPP

/// Two peers with everything on: profile, presence cache, id folding, copies that cross once; and a model of their local
/// servers and clients, whose contacts all see each other.
final class JoinedWorld {
    let pair: PeerPair
    private var seen = [0, 0]
    private var number = 0
    private var profiles: [CompiledProfile?] = []
    private static let users = 3

    /// What each user's resource is, by its full address; nil: unavailable.
    private(set) var own: [String: String?] = [:]
    /// What each contact was shown last, by "full from>bare to".
    private(set) var shown: [String: String] = [:]
    /// Requests, and the answers that came.
    private(set) var requests: [[String: Int]] = [[:], [:]]
    /// Messages by id: who was addressed, and where they arrived or came back.
    private(set) var sentMessages: [[String: Set<String>]] = [[:], [:]]
    private(set) var arrived: [[String: Int]] = [[:], [:]]
    private(set) var returned: [[String: Int]] = [[:], [:]]
    private var order: [[String: [String]]] = [[:], [:]]
    private(set) var arrivedOrder: [[String: [String]]] = [[:], [:]]
    private(set) var receipts: [String] = []
    private(set) var strange: [String] = []
    /// Whether bridges stop in peace, and whether they end without.
    var stops = false
    var crashes = false

    /// The bridge stops in peace, and starts again.
    private func stop(_ side: Int) throws {
        let peer = pair.sides[side]
        peer.confirm(peer.unconfirmed.count)
        commitAll(peer)
        peer.confirm(peer.unconfirmed.count)
        peer.run { $0.shutdownRequested(now: peer.now) }
        if pick(0..<2) == 0 { try act() }
        commitAll(peer)
        peer.confirm(peer.unconfirmed.count)
        commitAll(peer)
        try serve()
        commitAll(peer)
        peer.confirm(peer.unconfirmed.count)
        commitAll(peer)
        pair.restart(side)
    }

    init(seed: UInt64) throws {
        let texts = [
            "[presence]\nmode = \"fold\"\nkeep-only = [\"status\"]\nmin-interval = \"20s\"\n[iq]\ndefault = \"refuse\"\n"
                + "allow = [\"disco-info\", \"vcard\"]\nanswer-locally = [\"ping\", \"disco-info\", \"vcard\"]",
            "[iq]\ndefault = \"allow\"",
            "[presence]\nmode = \"pass\"\nmin-interval = \"5s\"\n"
                + "[iq]\ndefault = \"allow\"\nanswer-locally = [\"ping\"]",
        ]
        profiles = try texts.map { text in
            let library = ProfileLibrary { _ in .init(file: "test.toml", text: "name = \"test\"\n" + text) }
            return CompiledProfile(try library.profile(named: "test"))
        }
        let first = profiles[0]
        pair = PeerPair(seed: seed) { policy in
            policy.profile = first
            policy.cachesPresence = true
            policy.foldsIDs = true
            policy.presenceLifetime = .seconds(40)
            policy.messageLifetime = .seconds(120)
            policy.iqTimeout = .seconds(100)
            policy.batchStanzas = 8
            policy.blockBytes = 700
        }
        for side in 0..<2 {
            for user in 0..<Self.users {
                for contact in 0..<Self.users {
                    pair.sides[side].send(
                        try presence(from: bare(side, user), to: bare(1 - side, contact), type: "subscribe"))
                }
            }
        }
        pair.connect()
        try settle()
    }

    private func domain(_ side: Int) -> String { side == 0 ? "ship.example" : "shore.example" }
    func bare(_ side: Int, _ user: Int) -> String { "u\(user)@\(domain(side))" }
    func full(_ side: Int, _ user: Int, _ resource: Int) -> String { bare(side, user) + "/r\(resource)" }
    private func pick(_ range: Range<Int>) -> Int { Int.random(in: range, using: &pair.random) }

    /// An id such as clients make.
    private func freshID() -> String {
        number += 1
        let digits = String(number, radix: 16)
        let zeros = String(repeating: "0", count: 12 - digits.count)
        return "3f0a7c1e-55d2-4b7e-9a42-" + zeros + digits
    }

    // MARK: What users do

    func act() throws {
        let side = pick(0..<2)
        let user = pick(0..<Self.users)
        let from = full(side, user, pick(0..<2))
        switch pick(0..<10) {
        case 0..<4: try changePresence(side, user, from)
        case 4..<6: try ask(side, from)
        default: try write(side, from)
        }
    }

    private func changePresence(_ side: Int, _ user: Int, _ from: String) throws {
        let state: String? = pick(0..<4) == 0 ? nil : ["", "<status>a</status>", "<status>b</status>"][pick(0..<3)]
        let wasOnline = (own[from] ?? nil) != nil
        if state == nil, !wasOnline { return }
        own[from] = .some(state)
        for contact in 0..<Self.users {
            let to = bare(1 - side, contact)
            pair.sides[side].send(
                try presence(from: from, to: to, type: state == nil ? "unavailable" : nil, payload: state ?? ""))
            // His server asks when he comes.
            if !wasOnline { pair.sides[side].send(try presence(from: from, to: to, type: "probe")) }
        }
    }

    private func ask(_ side: Int, _ from: String) throws {
        let id = freshID()
        let contact = pick(0..<Self.users)
        let to = pick(0..<2) == 0 ? bare(1 - side, contact) : full(1 - side, contact, pick(0..<2))
        let payload = [
            "<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "<vCard xmlns='vcard-temp'/>", "<query xmlns='jabber:iq:version'/>",
        ][pick(0..<4)]
        requests[side][id] = 0
        pair.sides[side].send(try stanza("<iq from='\(from)' to='\(to)' type='get' id='\(id)'>\(payload)</iq>"))
    }

    private func write(_ side: Int, _ from: String) throws {
        let id = freshID()
        let isToMany = pick(0..<3) == 0
        let contacts = isToMany ? Array(0..<Self.users) : [pick(0..<Self.users)]
        for contact in contacts {
            let to = pick(0..<2) == 0 ? bare(1 - side, contact) : full(1 - side, contact, pick(0..<2))
            sentMessages[side][id, default: []].insert(to)
            order[side][from + ">" + bare(1 - side, contact), default: []].append(id)
            pair.sides[side].send(
                try stanza(
                    "<message from='\(from)' to='\(to)' type='chat' id='\(id)'><body>\(id.suffix(4))</body>"
                        + "<request xmlns='urn:xmpp:receipts'/></message>"))
        }
    }

    // MARK: What the servers do

    func serve() throws {
        for side in 0..<2 {
            while seen[side] < pair.sides[side].delivered.count {
                let stanza = pair.sides[side].delivered[seen[side]]
                seen[side] += 1
                try received(stanza, side)
            }
        }
    }

    private func received(_ stanza: Stanza, _ side: Int) throws {
        let peer = pair.sides[side]
        let (from, to) = (stanza.fromText, stanza.toText)
        switch (stanza.kind, stanza.type) {
        case (.presence, .subscribe):
            peer.send(try presence(from: stanza.toBareText, to: stanza.fromBareText, type: "subscribed"))
        case (.presence, .probe):
            var isOnline = false
            for resource in own.keys.sorted() where resource.hasPrefix(stanza.toBareText + "/") {
                guard let state = own[resource] ?? nil else { continue }
                isOnline = true
                let stamp =
                    "<delay xmlns='urn:xmpp:delay' from='\(domain(side))' stamp='2026-01-01T00:00:00Z'/>"
                peer.send(try presence(from: resource, to: from, payload: state + stamp))
            }
            if !isOnline { peer.send(try presence(from: stanza.toBareText, to: from, type: "unavailable")) }
        case (.presence, .absent):
            let payload = stanza.root.children.filter { $0.name == "status" }.map(\.xml).joined()
            shown[from + ">" + stanza.toBareText] = payload
        case (.presence, .unavailable):
            for key in shown.keys where key.hasSuffix(">" + stanza.toBareText) {
                let who = String(key.prefix { $0 != ">" })
                if who == from || stanza.from?.isBare == true && who.hasPrefix(from + "/") { shown[key] = nil }
            }
        case (.iq, .get):
            guard pick(0..<5) > 0, let id = stanza.id else { return }
            peer.send(try StanzaText.read("<iq from='\(to)' to='\(from)' type='result' id='\(id)'/>"))
        case (.iq, _):
            let id = stanza.id ?? ""
            if requests[side][id] == nil { strange.append("answer \(id)") } else { requests[side][id, default: 0] += 1 }
        case (.message, .error):
            let key = (stanza.id ?? "") + ">" + from
            if sentMessages[side][stanza.id ?? ""]?.contains(from) != true { strange.append("error \(key)") }
            returned[side][key, default: 0] += 1
        case (.message, _):
            if let receipt = stanza.root.firstChild("received", "urn:xmpp:receipts")?.attribute("id") {
                receipts.append(receipt)
                if sentMessages[side][receipt] == nil { strange.append("receipt \(receipt)") }
                return
            }
            let body = stanza.root.firstChild("body", XMLNamespace.server)?.text ?? ""
            arrived[1 - side][body + ">" + to, default: 0] += 1
            arrivedOrder[1 - side][from + ">" + stanza.toBareText, default: []].append(body)
            guard pick(0..<3) == 0 else { return }
            peer.send(
                try receipt(from: to, to: from, of: stanza.id ?? ""))
        default: break
        }
    }

    private func receipt(from: String, to: String, of id: String) throws -> Stanza {
        let received = "<received xmlns='urn:xmpp:receipts' id='\(id)'/>"
        return try StanzaText.read("<message from='\(from)' to='\(to)' id='\(freshID())'>\(received)</message>")
    }

    // MARK: Running

    func reload(_ side: Int) {
        var policy = pair.sides[side].policy
        policy.profile = profiles[pick(0..<profiles.count)]
        policy.foldsIDs = pick(0..<3) > 0
        pair.sides[side].run { $0.policyChanged(policy, now: pair.sides[side].now) }
    }

    func step() throws {
        switch pick(0..<30) {
        case 0..<8: try act()
        case 8..<26: pair.exchangeOnce()
        case 26: pair.advance(.milliseconds(Int64(pick(1..<(pair.isUp ? 20_000 : 60_000)))))
        case 27: if pick(0..<4) == 0 { pair.cut() }
        case 28: if pick(0..<5) == 0 { pair.connect() }
        default:
            switch pick(0..<12) {
            case 0, 1: reload(pick(0..<2))
            case 2: if stops { try stop(pick(0..<2)) }
            case 3: if crashes { pair.restart(pick(0..<2)) }
            default: break
            }
        }
        try serve()
    }

    func settle() throws {
        for _ in 0..<40 {
            pair.connect()
            pair.quiesce()
            try serve()
            pair.advance(.seconds(10))
        }
        pair.quiesce()
        try serve()
    }

    /// Nobody's request stays without its one answer, no message is lost, doubled or overtaken, no token is seen by who sent the
    /// id, and everybody is seen as he is. A process that ends without a stop may say things twice and forget presence.
    func check(_ context: String) {
        #expect(strange.isEmpty, "\(context): \(strange)")
        for side in 0..<2 {
            for (id, count) in requests[side] where crashes ? count < 1 : count != 1 {
                Issue.record("\(context): request \(id) answered \(count) times")
            }
            for (id, receivers) in sentMessages[side] {
                for to in receivers {
                    let came = arrived[side][id.suffix(4) + ">" + to] ?? 0
                    let back = returned[side][id + ">" + to] ?? 0
                    if crashes ? came + back < 1 : came + back != 1 {
                        Issue.record("\(context): message \(id) to \(to): arrived \(came), came back \(back)")
                    }
                }
            }
            if crashes { continue }
            for (key, ids) in order[side] {
                let came = arrivedOrder[side][key] ?? []
                let wanted = ids.map { String($0.suffix(4)) }.filter { came.contains($0) }
                if came != wanted { Issue.record("\(context): order \(key): \(came) instead of \(wanted)") }
            }
            for user in 0..<Self.users {
                for resource in 0..<2 {
                    let from = full(side, user, resource)
                    for contact in 0..<Self.users {
                        let to = bare(1 - side, contact)
                        #expect(shown[from + ">" + to] == own[from] ?? nil, "\(context): \(from), seen by \(to)")
                    }
                }
            }
        }
    }
}

extension PeerPair {
    /// Whatever can move moves by one.
    func exchangeOnce() {
        for side in 0..<2 {
            sides[side].take()
            sides[side].commit()
            transmit(side)
            arrive(side)
            sides[side].confirm(3)
        }
    }
}
