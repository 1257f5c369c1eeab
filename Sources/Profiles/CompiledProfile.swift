package import NIOCore
package import XMPP

/// A profile ready for use: every decision about a payload is one look into a table.
///
/// What it does to a stanza follows from the stanza, its direction and its sender alone; it keeps nothing between
/// stanzas. `min-interval`, `vcard-lifetime` and answering locally need a clock and a cache, which are the caller's.
package final class CompiledProfile: Sendable {
    package let profile: Profile
    let codes: CodeSpace
    /// By direction and shape.
    private let plans: [PlanSet]

    package var name: String { profile.name }
    /// `[outbox]`.
    package var outbox: ProfileOutbox { profile.outbox }
    /// `[block]`.
    package var block: ProfileBlock { profile.block }

    package init(_ profile: Profile) {
        self.profile = profile
        let codes = CodeSpace(profile)
        self.codes = codes
        var plans: [PlanSet] = []
        for direction in ProfileDirection.allCases {
            for shape in StanzaShape.allCases {
                plans.append(PlanSet(profile, codes, shape, direction))
            }
        }
        self.plans = plans
    }

    /// What the profile does with a stanza.
    ///
    /// A stanza that passes costs no allocation. Sections of a profile are for what goes out; for what comes in only
    /// rules with `direction = "in"` or `"both"` hold, and payloads that only a server may write are removed.
    ///
    /// - Parameters:
    ///   - sender: what is known of who sent it. A room is never told of an error.
    package func apply(
        _ stanza: Stanza, direction: ProfileDirection, sender: StanzaSender = .unknown
    ) -> ProfileVerdict {
        let decision = decide(stanza, direction: direction, sender: sender)
        switch decision.outcome {
        case .pass:
            if decision.edits.isEmpty { return .pass }
            let folded = decision.folded ?? stanza.applying(decision.edits)
            return decision.isTruncated ? .truncate(folded) : .fold(folded)
        case .drop(let reason): return .drop(reason)
        case .refuse(let refusal): return .refuse(refusal)
        case .answerLocally(let otherwise): return .answerLocally(otherwise: otherwise)
        case .replace(let error): return .fold(error)
        }
    }

    /// The shortest time between two availabilities of one resource to one recipient; `nil` where this presence may not be
    /// held back: whatever a room sends or gets, `unavailable`, subscriptions, errors, probes.
    package func minimumInterval(of stanza: Stanza, direction: ProfileDirection) -> TimeAmount? {
        guard stanza.kind == .presence, stanza.type == .absent, !stanza.isRoomPresence else { return nil }
        let interval = plan(.available, direction, stanza).minimumInterval
        return interval == .zero ? nil : interval
    }

    /// The age from which on a vCard that a local user asks for is asked for again; `nil` where it always is.
    package func vCardLifetime(of request: Stanza) -> TimeAmount? {
        let lifetime = plan(.get, .out, request).vCardLifetime
        return lifetime == .zero ? nil : lifetime
    }

    /// Whether `answer-locally` names a payload, by its short name, be it for some recipients only.
    package func mayAnswer(_ shortName: String) -> Bool {
        ([profile.iq] + profile.iqRules.map(\.settings)).contains { settings in
            (settings.answerLocally ?? []).contains { entry in
                guard case .short(_, let payloads) = entry.value else { return false }
                return payloads.contains { PayloadVocabulary.all[$0].name == shortName }
            }
        }
    }

    /// The plan for a stanza.
    @inline(__always)
    func plan(_ shape: StanzaShape, _ direction: ProfileDirection, _ stanza: Stanza) -> Plan {
        let set = plans[Int(direction.rawValue) * StanzaShape.allCases.count + shape.index]
        guard !set.conditions.isEmpty else { return set.plans[0] }
        var mask = 0
        for (place, condition) in set.conditions.enumerated()
        where condition.domains.contains(where: {
            direction == .out ? stanza.toDomainMatches($0) : stanza.fromDomainMatches($0)
        }) {
            mask |= 1 << place
        }
        return set.plans[mask]
    }
}

extension PlanSet {
    init(_ profile: Profile, _ codes: CodeSpace, _ shape: StanzaShape, _ direction: ProfileDirection) {
        switch shape {
        case .chat, .groupchat, .normal, .headline:
            self.init(codes, shape, direction, profile.message, profile.messageRules) { $0.lay($1) }
        case .available, .unavailable:
            self.init(codes, shape, direction, profile.presence, profile.presenceRules) { $0.lay($1) }
        case .get, .set, .result:
            self.init(codes, shape, direction, profile.iq, profile.iqRules) { $0.lay($1) }
        }
    }

    private init<Settings>(
        _ codes: CodeSpace, _ shape: StanzaShape, _ direction: ProfileDirection, _ section: Settings,
        _ rules: [Profile.Rule<Settings>], lay: (inout PlanDraft, Settings) -> Void
    ) {
        let applying = rules.filter { $0.when.applies(to: shape, direction) }
        let conditional = applying.filter { !$0.when.domains.isEmpty }.prefix(HardRules.mostDomainRules)
        var plans: [Plan] = []
        for mask in 0..<(1 << conditional.count) {
            var draft = PlanDraft(codes, shape)
            if direction == .out { lay(&draft, section) }
            var place = 0
            for rule in applying {
                var holds = true
                if !rule.when.domains.isEmpty {
                    holds = place < conditional.count && mask & (1 << place) != 0
                    place += 1
                }
                if holds { lay(&draft, rule.settings) }
            }
            plans.append(draft.finish())
        }
        self.init(conditions: conditional.map(\.when), plans: plans)
    }
}
