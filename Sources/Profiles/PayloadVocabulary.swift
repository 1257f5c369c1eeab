import XMPP

/// All short names, and the number of each element that profiles can tell apart.
///
/// Numbers are dense: the codes of ``ElementName`` first, then the events with a name of their own, then what a profile
/// names by namespace. So a decision about an element is one look into a table.
package enum PayloadVocabulary {
    /// All payloads in the order in which the reference lists them.
    package static let all: [Payload] = messages + events + presence + iq

    /// Several payloads under one name.
    package static let groups: [(name: String, members: [String])] = [
        ("stanza-ids", ["stanza-id", "origin-id", "referenced-stanza"]),
        ("encryption", ["omemo", "openpgp", "encrypted", "encryption-mark"]),
        ("events", events.map(\.name)),
        ("own-server", ["roster", "private-storage", "privacy-lists", "blocking", "carbons"]),
        ("file-transfer", ["jingle", "bytestreams", "ibb", "http-upload", "oob-request"]),
    ]

    /// Every name that a profile may write, sorted.
    package static let names: [String] = (all.map(\.name) + groups.map(\.name)).sorted()

    /// The payloads of a short name; `nil` where there is none.
    package static func payloads(named name: String) -> [Int]? {
        if let index = indices[name] { return [index] }
        guard let group = groups.first(where: { $0.name == name }) else { return nil }
        return group.members.compactMap { indices[$0] }
    }

    private static let indices: [String: Int] = Dictionary(
        uniqueKeysWithValues: all.enumerated().map { ($1.name, $0) })

    // MARK: Numbers

    /// An element that no payload names.
    static let otherCode = 0
    /// An element in a namespace of labels or signatures whose name is not known: kept like them.
    static let protectedCode = ElementName.codeCount
    private static let firstEventCode = ElementName.codeCount + 1
    private static let namedEvents = all.indices.filter { !all[$0].nodes.isEmpty }
    /// The first number that is free for what a profile names by namespace.
    static let firstCustomCode = firstEventCode + namedEvents.count

    /// The payload of each number; `nil` for those of no payload.
    static let payloadOfCode: [Int?] = {
        var result = [Int?](repeating: nil, count: firstCustomCode)
        for (index, payload) in all.enumerated() {
            for element in payload.elements {
                result[Int(ElementName.named(element.local, element.namespace).code)] = index
            }
        }
        // Whoever calls a payload by an element that XMPP does not number would reach every unknown element.
        precondition(result[otherCode] == nil, "a payload names an element without a code")
        for (offset, index) in namedEvents.enumerated() { result[firstEventCode + offset] = index }
        return result
    }()

    /// The numbers of each payload.
    static let codesOfPayload: [[Int]] = all.indices.map { index in
        payloadOfCode.indices.filter { payloadOfCode[$0] == index }
    }

    /// The number of an event by the node of its items.
    static func eventCode(node: String) -> Int? { eventNodes[node] }

    private static let eventNodes: [String: Int] = {
        var nodes: [String: Int] = [:]
        for (offset, index) in namedEvents.enumerated() {
            for node in all[index].nodes { nodes[node] = firstEventCode + offset }
        }
        return nodes
    }()

    /// Numbers that code looks for by itself.
    enum Code {
        static let event = number("event", "http://jabber.org/protocol/pubsub#event")
        static let stanzaID = number("stanza-id", "urn:xmpp:sid:0")
        static let occupantID = number("occupant-id", "urn:xmpp:occupant-id:0")
        static let hats = number("hats", "urn:xmpp:hats:0")
        static let carbonSent = number("sent", "urn:xmpp:carbons:2")
        static let carbonReceived = number("received", "urn:xmpp:carbons:2")
        static let archiveResult = number("result", "urn:xmpp:mam:2")
        static let fallback = number("fallback", "urn:xmpp:fallback:0")
        static let encryptionMark = number("encryption", "urn:xmpp:eme:0")
        static let muc = Int(ElementName.muc.code)
        static let mucUser = Int(ElementName.mucUser.code)
        static let fmuc = Int(ElementName.fmuc.code)
        static let delay = Int(ElementName.delay.code)

        private static func number(_ local: String, _ namespace: String) -> Int {
            Int(ElementName.named(local, namespace).code)
        }
    }

    /// Namespaces whose elements are all kept, known or not (XEP-0258, STANAG 4774 and 4778).
    static let protectedNamespaces = [
        XMLNamespace.securityLabel, "urn:xmpp:sec-label:ess:0", XMLNamespace.xmlSignature,
        XMLNamespace.confidentialityLabel, XMLNamespace.metadataBinding,
    ]
}
