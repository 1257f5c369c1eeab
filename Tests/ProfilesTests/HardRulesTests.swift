import NIOCore
import Profiles
import TestSupport
import Testing
import XMPP

/// What no profile can do, tried with profiles and stanzas at random.
@Suite("Hard rules") struct HardRulesTests {
    private static let protected: Set<String> = [
        "urn:xmpp:sec-label:0", "urn:xmpp:sec-label:ess:0", "http://www.w3.org/2000/09/xmldsig#",
        "urn:nato:stanag:4774:confidentialitymetadatalabel:1:0", "urn:nato:stanag:4778:bindinginformation:1:0",
    ]

    /// Namespaces of what carries the meaning of a message.
    private static let meaning: Set<String> = [
        "urn:xmpp:omemo:2", "eu.siacs.conversations.axolotl", "urn:xmpp:openpgp:0", "jabber:x:encrypted",
        "urn:xmpp:eme:0",
        "jabber:x:oob", "urn:xmpp:sfs:0", "urn:xmpp:reply:0", "urn:xmpp:reactions:0", "urn:xmpp:message-retract:1",
        "urn:xmpp:message-moderate:1", "urn:xmpp:message-correct:0", "urn:xmpp:fasten:0", "urn:xmpp:forward:0",
        "http://jabber.org/protocol/ibb", "jabber:x:data", "urn:xmpp:jingle-message:0",
    ]

    private static let rooms: Set<String> = [
        "http://jabber.org/protocol/muc#user", "http://jabber.org/protocol/muc", "http://isode.com/protocol/fmuc",
    ]

    @Test(arguments: UInt64(1)...60) func `hold for any profile and any stanza`(seed: UInt64) throws {
        var policies = RandomPolicies(seed: seed)
        let profile = CompiledProfile(policies.profile())
        for number in 0..<150 {
            let stanza = try read(policies.stanza())
            let direction = policies.pick(ProfileDirection.allCases)
            let sender = policies.pick([StanzaSender.room, .user, .unknown])
            let verdict = profile.apply(stanza, direction: direction, sender: sender)
            let comment = "seed \(seed), stanza \(number), \(direction), \(sender): \(stanza.text) became \(verdict)"
            check(verdict, of: stanza, direction, sender, comment)
            switch verdict {
            case .fold(let folded), .truncate(let folded):
                try expectCanonical(folded, comment)
                checkFolded(folded, of: stanza, direction, sender, isTruncated: verdict == .truncate(folded), comment)
                // What crossed once crosses again unchanged.
                if folded.type != .error || stanza.type == .error {
                    let again = profile.apply(folded, direction: direction, sender: sender)
                    #expect(again == .pass || again == .fold(folded), "\(comment), then \(again)")
                }
            case .pass, .drop, .refuse, .answerLocally: break
            }
        }
    }

    private func check(
        _ verdict: ProfileVerdict, of stanza: Stanza, _ direction: ProfileDirection, _ sender: StanzaSender,
        _ comment: String
    ) {
        let dropped: DropReason? = if case .drop(let reason) = verdict { reason } else { nil }
        let isRefused = if case .refuse = verdict { true } else { false }
        let isAnswered = if case .answerLocally = verdict { true } else { false }
        switch (stanza.kind, stanza.type) {
        case (_, .error), (.presence, .subscribe), (.presence, .subscribed), (.presence, .unsubscribe),
            (.presence, .unsubscribed),
            (.presence, .unavailable), (.iq, .result):
            #expect(dropped == nil && !isRefused && !isAnswered, "\(comment)")
        case (.iq, _):
            // Exactly one answer: the far side's, or ours at once.
            #expect(dropped == nil, "\(comment)")
            #expect(!isAnswered || stanza.type == .get, "\(comment)")
        case (.presence, _):
            #expect(!isRefused && !isAnswered, "\(comment)")
            let isRooms = stanza.root.children.contains { Self.rooms.contains($0.namespace) }
            if isRooms, sender != .user || direction == .out { #expect(dropped == nil, "\(comment)") }
        case (.message, _):
            #expect(!isAnswered, "\(comment)")
            if sender == .room { #expect(!isRefused, "\(comment)") }
            if stanza.hasChild(.body) || stanza.hasChild(.subject), let dropped {
                // What somebody wrote vanishes only where a room would throw its reader out for the error.
                if case .fromRoom = dropped {} else { Issue.record("\(comment)") }
            }
        default: break
        }
        if direction == .out,
            stanza.isError || [.subscribe, .subscribed, .unsubscribe, .unsubscribed].contains(stanza.type)
        {
            #expect(verdict == .pass, "\(comment)")
        }
    }

    private func checkFolded(
        _ folded: Stanza, of stanza: Stanza, _ direction: ProfileDirection, _ sender: StanzaSender, isTruncated: Bool,
        _ comment: String
    ) {
        #expect(folded.to == stanza.to && folded.from == stanza.from && folded.id == stanza.id, "\(comment)")
        if stanza.type == .result, folded.type == .error { return }
        #expect(folded.kind == stanza.kind && folded.type == stanza.type, "\(comment)")
        #expect(folded.byteCount < stanza.byteCount || folded.text.contains("<history"), "\(comment)")
        func children(_ stanza: Stanza, _ namespaces: Set<String>) -> [String] {
            stanza.root.children.filter { namespaces.contains($0.namespace) }.map(\.xml)
        }
        // Labels, byte for byte; so also deep inside what stays.
        #expect(children(folded, Self.protected) == children(stanza, Self.protected), "\(comment)")
        if stanza.kind == .message {
            #expect(
                folded.root.children.filter { Self.meaning.contains($0.namespace) }.count
                    == stanza.root.children.filter { Self.meaning.contains($0.namespace) }.count, "\(comment)")
            if !isTruncated {
                #expect(texts(folded) == texts(stanza), "\(comment)")
            }
        }
        if stanza.kind == .presence, sender != .user || direction == .out {
            let names = { (stanza: Stanza) in stanza.root.children.map(\.namespace).filter(Self.rooms.contains) }
            #expect(names(folded) == names(stanza), "\(comment)")
            let user: Set<String> = ["http://jabber.org/protocol/muc#user", "http://isode.com/protocol/fmuc"]
            #expect(children(folded, user) == children(stanza, user), "\(comment)")
        }
        if stanza.isIQRequest { #expect(folded.root.children.count == stanza.root.children.count, "\(comment)") }
    }

    private func texts(_ stanza: Stanza) -> [String] {
        stanza.root.children.filter { $0.interned == .body || $0.interned == .subject }.map(\.text)
    }

    @Test func `every payload under every key is taken or refused with a reason, and what is taken keeps to the rules`()
    {
        for payload in PayloadVocabulary.all {
            for (section, key) in [
                ("message", "strip"), ("message", "drop-when-only"), ("message", "strip-in-chat"),
                ("message", "refuse"),
                ("message", "keep-only"), ("presence", "strip"), ("presence", "keep-only"), ("iq", "allow"),
                ("iq", "refuse"),
                ("iq", "strip"), ("iq", "answer-locally"),
            ] {
                let found = problems("[\(section)]\n\(key) = [\"\(payload.name)\"]")
                #expect(found.count <= 1, "\(payload.name) under \(section).\(key): \(found)")
                let isStripped = ["strip", "drop-when-only", "strip-in-chat"].contains(key) && section != "iq"
                let role = section == "presence" ? payload.presenceRole : payload.role
                if isStripped, role == .kept || role == .meaning {
                    #expect(
                        found.first?.contains("p.toml:3: \(section).\(key)[0] = \"\(payload.name)\": ") ?? false,
                        "\(payload.name)")
                }
            }
        }
    }
}
