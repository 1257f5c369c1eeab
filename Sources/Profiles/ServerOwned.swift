import XMPP

/// What a server writes into stanzas, and what clients believe because their server would have removed it from others.
///
/// A remote user who writes it himself speaks for a server. His own server should have removed it; a bridge that takes
/// stanzas from a link does not rely on that. All copies go, not the first alone (Openfire OF-2607, ejabberd 25.04 and
/// Prosody #1552 once removed only that).
enum ServerOwned {
    /// Marks every element of a stanza from the link that its sender has no right to.
    ///
    /// In IQs there is nothing to find: their one payload is asked of the recipient, not believed.
    static func find(in stanza: Stanza, sender: StanzaSender, into decision: inout Decision) {
        guard stanza.kind == .message || stanza.kind == .presence else { return }
        var candidates = false
        var count = 0
        stanza.forEachChild { _, name in
            count += 1
            if watched[Int(name.code)] { candidates = true }
        }
        guard candidates else { return }
        var removed = 0
        stanza.forEachChild { index, name in
            guard watched[Int(name.code)], isServerOwned(Int(name.code), at: index, in: stanza, sender) else { return }
            decision.edits.removed.insert(index)
            removed += 1
        }
        decision.serverOwned = decision.edits.removed
        // A message of nothing else says nothing. Presence always means something.
        if removed == count, removed > 0, stanza.kind == .message, stanza.type != .error {
            decision.edits = StanzaEdits()
            decision.outcome = .drop(.serverOwned)
            decision.cause = .serverOwned
        }
    }

    private typealias Code = PayloadVocabulary.Code

    private static let watched: [Bool] = {
        let codes = [
            Code.stanzaID, Code.occupantID, Code.hats, Code.carbonSent, Code.carbonReceived, Code.archiveResult,
            Code.mucUser, Code.delay,
        ]
        return (0..<PayloadVocabulary.firstCustomCode).map(codes.contains)
    }()

    /// What only a user's own server may set at his client: roster pushes (RFC 6121 §2.1.6, CVE-2015-8688), pushes of block
    /// lists (XEP-0191 §3.3); `nil` where the IQ is none of these.
    static func push(in stanza: Stanza) -> Int? {
        var push: Int?
        stanza.forEachChild { _, name in
            if pushes.contains(Int(name.code)) { push = Int(name.code) }
        }
        return push
    }

    private static let pushes = ["roster", "blocking"].flatMap { name in
        PayloadVocabulary.payloads(named: name)?.flatMap { PayloadVocabulary.codesOfPayload[$0] } ?? []
    }

    private static func isServerOwned(_ code: Int, at index: Int, in stanza: Stanza, _ sender: StanzaSender) -> Bool {
        switch code {
        // An archive signs with its own address; that of another is a claim about this site's archive (XEP-0359 §6).
        case Code.stanzaID: !isBareSender(stanza.cursor(at: index).attribute("by"), of: stanza)
        // Copies of a user's messages come from his own server alone (XEP-0280 §13, CVE-2017-5589 and its kin).
        case Code.carbonSent, Code.carbonReceived: true
        // Only a room gives ids and hats to occupants, says who is in it, and has an archive that others ask.
        case Code.occupantID, Code.hats: sender == .user
        case Code.archiveResult: sender == .user
        case Code.mucUser: sender == .user && stanza.kind == .presence
        // A stamp in the name of the recipient's own server or account.
        case Code.delay: isRecipients(stanza.cursor(at: index).attribute("from"), of: stanza)
        default: false
        }
    }

    private static func isBareSender(_ address: String?, of stanza: Stanza) -> Bool {
        guard let address = address.flatMap({ JID($0) }), let from = stanza.from else { return false }
        return address == from.bare
    }

    private static func isRecipients(_ address: String?, of stanza: Stanza) -> Bool {
        guard let address = address.flatMap({ JID($0) }) else { return false }
        return stanza.toDomainEquals(address.domain)
    }
}
