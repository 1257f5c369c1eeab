import ConfigurationText
import XMPP

/// What no profile can do, whatever it says: checked where a profile is read, so that its author learns why, and
/// enforced again where it is compiled. Source: Skywave design, "Policy".
enum HardRules {
    /// What a list does with what it names.
    enum Use {
        /// Removed from messages of all types.
        case strippedInRooms
        /// Removed from messages that are no rooms'.
        case stripped
        case strippedFromPresence
        /// Messages with nothing else go.
        case dropped
        case refused
        /// Answered by the bridge.
        case answered
        /// Parts deep inside an IQ's payload.
        case nested
        /// Allowed or kept: no rule stands against it.
        case any
    }

    struct Objection: Equatable {
        var message: String
        var allowed: String?
    }

    /// Which payloads the bridge can answer for: it may know the answer, or the standard gives one (XEP-0199 §4, XEP-0115 §5.4,
    /// XEP-0054 §3).
    static let answerable = ["ping", "disco-info", "vcard"]

    /// A short name that is at home in a section, for messages.
    static func example(_ places: PayloadPlaces) -> String {
        places.contains(.presence) ? "avatars" : places.contains(.iq) ? "version" : "chat-states"
    }

    /// Why a payload may not stand in a list; `nil` where it may.
    static func objection(to selector: PayloadSelector, in places: PayloadPlaces, _ use: Use) -> Objection? {
        switch selector {
        case .short(let name, let indices):
            for index in indices {
                let payload = PayloadVocabulary.all[index]
                if let objection = objection(to: payload, in: places, use, isAlone: indices.count == 1) {
                    return objection
                }
            }
            // A group may hold what is at home elsewhere, but not nothing else.
            guard indices.contains(where: { !PayloadVocabulary.all[$0].places.isDisjoint(with: places) }) else {
                return Objection(message: "\"\(name)\" does not stand here", allowed: nil)
            }
            return nil
        case .element(let namespace, let local):
            if use == .answered || use == .nested {
                return Objection(message: "only short names can stand here", allowed: allowed(use))
            }
            if PayloadVocabulary.protectedNamespaces.contains(namespace), use != .any {
                return Objection(message: "security labels and signatures are always kept", allowed: "remove it")
            }
            for (index, payload) in PayloadVocabulary.all.enumerated() {
                let isMeant = payload.elements.contains {
                    $0.namespace == namespace && (local == nil || $0.local == local)
                }
                guard isMeant, !payload.places.isDisjoint(with: places) else { continue }
                let short = PayloadSelector.short(payload.name, payloads: [index])
                if let objection = objection(to: short, in: places, use) { return objection }
            }
            return nil
        }
    }

    private static func objection(
        to payload: Payload, in places: PayloadPlaces, _ use: Use, isAlone: Bool
    ) -> Objection? {
        guard !payload.places.isDisjoint(with: places) else {
            return isAlone ? Objection(message: "\"\(payload.name)\" is \(home(payload))", allowed: nil) : nil
        }
        let role = places.contains(.presence) ? payload.presenceRole : payload.role
        switch use {
        case .any: return nil
        case .answered:
            return answerable.contains(payload.name)
                ? nil : Objection(message: "the bridge cannot know the answer", allowed: allowed(use))
        case .nested:
            return payload.places.contains(.nested)
                ? nil
                : Objection(
                    message: "an IQ has one payload: without it there is nothing to answer", allowed: allowed(use))
        case .refused:
            return role == .kept ? Objection(message: kept(payload), allowed: "remove it") : nil
        case .stripped, .strippedInRooms, .strippedFromPresence, .dropped:
            if use == .dropped, payload.places.contains(.nested) {
                return Objection(message: "\"\(payload.name)\" never stands by itself", allowed: "use strip")
            }
            if role == .kept { return Objection(message: kept(payload), allowed: "remove it") }
            if role == .meaning {
                return Objection(
                    message: "\(payload.title) carry what the sender meant: without it another text would be shown",
                    allowed: "put it under \"refuse\", and the whole message comes back to its sender")
            }
            if use == .strippedInRooms, payload.name == "stanza-id" {
                return Objection(
                    message: "rooms need their ids for replies, markers and moderation",
                    allowed: "put it under \"strip-in-chat\"")
            }
            return nil
        }
    }

    private static func allowed(_ use: Use) -> String {
        let names =
            use == .answered
            ? answerable : PayloadVocabulary.all.filter { $0.places.contains(.nested) }.map(\.name)
        return "allowed: " + names.map { "\"\($0)\"" }.joined(separator: ", ")
    }

    private static func kept(_ payload: Payload) -> String {
        "\"\(payload.name)\" is always kept: \(keptReasons[payload.name] ?? "without it the stanza has another meaning")"
    }

    /// Why each payload that is always kept is.
    static let keptReasons: [String: String] = [
        "body": "it is what was written",
        "subject": "in a room it is the room's subject",
        "error": "it is the answer that somebody waits for",
        "delay": "without it old messages look new",
        "fallback": "without it clients show text twice",
        "headers": "they say how urgent a message is",
        "addresses": "they say who gets it",
        "captcha": "without it the challenge cannot be met",
        "invitations": "an invitation that is lost is not sent again",
        "security-labels": "a stanza without its label may be shown to the wrong people, or to nobody",
        "signatures": "what is signed can then not be checked",
        "label-catalog": "without it clients cannot label what they send",
        "show": "it is the availability",
        "priority": "it says which of several clients gets messages",
        "muc": "with it somebody enters a room",
        "muc-user": "with it a room says who is in it and what happened",
        "fmuc": "with it rooms of both sites stay one",
    ]

    private static func home(_ payload: Payload) -> String {
        if payload.places.contains(.nested) { return "a part of another payload" }
        if payload.places.contains(.iq) { return "a payload of IQs" }
        return payload.places.contains(.presence) ? "a payload of presence" : "a payload of messages"
    }

    // MARK: What only the whole profile shows

    /// Rules with domains multiply the tables that a profile is compiled to.
    static let mostDomainRules = 6

    /// What is wrong with a profile although each of its files is right by itself.
    static func problems(of profile: Profile) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func check(_ section: String, _ rules: [(when: RuleCondition, origin: RuleOrigin)]) {
            let withDomains = rules.filter { !$0.when.domains.isEmpty }
            guard let origin = withDomains.dropFirst(mostDomainRules).first?.origin else { return }
            problems.append(
                problem(
                    origin, nil, "more than \(mostDomainRules) rules with domains under [[\(section).rule]]",
                    "one rule may name many domains"))
        }
        check("message", profile.messageRules.map { ($0.when, $0.origin) })
        check("presence", profile.presenceRules.map { ($0.when, $0.origin) })
        check("iq", profile.iqRules.map { ($0.when, $0.origin) })
        for settings in [profile.iq] + profile.iqRules.map(\.settings) {
            problems += contradictions(settings)
        }
        return problems
    }

    /// What is both allowed and refused by the same file.
    private static func contradictions(_ settings: IQSettings) -> [ConfigurationProblem] {
        guard settings.allowRank == settings.refuseRank, let allow = settings.allow, let refuse = settings.refuse else {
            return []
        }
        return refuse.compactMap { entry in
            allow.contains { overlap($0.value, entry.value) } ? contradiction(entry) : nil
        }
    }

    /// Whether some payload is meant by both.
    private static func overlap(_ one: PayloadSelector, _ other: PayloadSelector) -> Bool {
        switch (one, other) {
        case (.short(_, let payloads), .short(_, let others)):
            return !Set(payloads).isDisjoint(with: others)
        case (.element(let namespace, let local), .element(let otherNamespace, let otherLocal)):
            return namespace == otherNamespace && (local == nil || otherLocal == nil || local == otherLocal)
        case (.short(_, let payloads), .element(let namespace, let local)),
            (.element(let namespace, let local), .short(_, let payloads)):
            return payloads.flatMap { PayloadVocabulary.all[$0].elements }.contains {
                $0.namespace == namespace && (local == nil || $0.local == local)
            }
        }
    }

    private static func contradiction(_ entry: Sourced<PayloadSelector>) -> ConfigurationProblem {
        problem(entry.origin, entry.value.shown, "allowed as well", "one of allow and refuse")
    }

    private static func problem(
        _ origin: RuleOrigin, _ value: String?, _ message: String, _ allowed: String?
    ) -> ConfigurationProblem {
        ConfigurationProblem(
            file: origin.file, line: origin.line, key: origin.key, value: value, message: message, allowed: allowed)
    }
}
