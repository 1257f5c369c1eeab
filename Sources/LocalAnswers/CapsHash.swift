import XMPP

/// The hash by which an entity names its abilities: algorithm and value (XEP-0115 §4, attributes `hash` and `ver`).
struct CapsHash: Hashable {
    /// Algorithms that the bridge can compute (XEP-0300 §3). What is named by another is not remembered.
    enum Algorithm: String, CaseIterable {
        case sha1 = "sha-1"
        case sha256 = "sha-256"

        func digest(_ bytes: [UInt8]) -> [UInt8] {
            switch self {
            case .sha1: SHA1.digest(bytes)
            case .sha256: SHA256.digest(bytes)
            }
        }

        /// Of the value in Base64.
        var textLength: Int {
            switch self {
            case .sha1: 28
            case .sha256: 44
            }
        }
    }

    var algorithm: Algorithm
    /// Base64.
    var value: String
}

/// The abilities that a presence announces: `<c xmlns='http://jabber.org/protocol/caps' …/>`.
struct AnnouncedCaps: Equatable {
    var hash: CapsHash
    /// The software's name, a URI; what is asked is `node#ver`.
    var node: String

    static let longestNode = 256

    /// - Returns: `nil` where the presence announces none, more than one, or in a form that is not understood: without
    ///   `hash`, as before version 1.4 of XEP-0115, `ver` is a version and proves nothing.
    init?(_ presence: Stanza) {
        guard presence.hasChild(.caps) else { return nil }
        let found = presence.root.children.filter { $0.interned == .caps }
        guard found.count == 1, let element = found.first, let name = element.attribute("hash"),
            let algorithm = CapsHash.Algorithm(rawValue: name), let value = element.attribute("ver"),
            value.utf8.count == algorithm.textLength, let node = element.attribute("node"), !node.isEmpty,
            node.utf8.count <= Self.longestNode
        else { return nil }
        hash = CapsHash(algorithm: algorithm, value: value)
        self.node = node
    }

    /// What a request for these abilities has as its node (XEP-0115 §6.2).
    var requestNode: String { node + "#" + hash.value }
}
