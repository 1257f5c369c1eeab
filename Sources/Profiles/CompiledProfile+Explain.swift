package import XMPP

extension CompiledProfile {
    /// Tells which rule decided about each element of a stanza. Costs much more than applying.
    package func explain(
        _ stanza: Stanza, direction: ProfileDirection, sender: StanzaSender = .unknown
    ) -> Explanation {
        let verdict = apply(stanza, direction: direction, sender: sender)
        let decision = decide(stanza, direction: direction, sender: sender)
        let shape = StanzaShape(stanza) ?? (stanza.type == .probe ? .available : nil)
        let plan = shape.map { self.plan($0, direction, stanza) }
        let explainer = Explainer(
            stanza: stanza, codes: codes, plan: plan, decision: decision, crossing: verdict.crossing(stanza),
            isEdited: verdict.isEdited)
        return Explanation(
            profile: name, direction: direction, verdict: verdict, rule: explainer.wholeRule(verdict),
            root: explainer.node(0, parent: nil))
    }
}

extension ProfileVerdict {
    /// What crosses; `nil` where nothing does, or nobody knows yet.
    fileprivate func crossing(_ stanza: Stanza) -> Stanza? {
        switch self {
        case .pass, .answerLocally(otherwise: nil): stanza
        case .fold(let folded), .truncate(let folded): folded
        case .drop, .refuse, .answerLocally: nil
        }
    }

    fileprivate var isEdited: Bool {
        switch self {
        case .fold, .truncate: true
        case .pass, .drop, .refuse, .answerLocally: false
        }
    }
}

/// Walks a stanza and what became of it side by side.
private struct Explainer {
    private typealias Code = PayloadVocabulary.Code

    let stanza: Stanza
    let codes: CodeSpace
    let plan: Plan?
    let decision: Decision
    /// What crosses in its place.
    let crossing: Stanza?
    let isEdited: Bool
    /// The place in what crosses of each element that stayed; `nil` of those that went.
    private let after: [Int?]

    init(stanza: Stanza, codes: CodeSpace, plan: Plan?, decision: Decision, crossing: Stanza?, isEdited: Bool) {
        self.stanza = stanza
        self.codes = codes
        self.plan = plan
        self.decision = decision
        self.crossing = crossing
        self.isEdited = isEdited
        self.after = Self.match(stanza, crossing, decision, isEdited: isEdited)
    }

    /// Elements that stay keep their order, so the places of both can be counted side by side.
    private static func match(
        _ stanza: Stanza, _ crossing: Stanza?, _ decision: Decision, isEdited: Bool
    ) -> [Int?] {
        var places = [Int?](repeating: nil, count: stanza.elementCount)
        guard let crossing else { return places }
        if case .replace = decision.outcome { return places }
        var next = 0
        var skipDepth: Int?
        for index in 0..<stanza.elementCount {
            let depth = stanza.element(at: index).depth
            if let outer = skipDepth {
                if depth > outer { continue }
                skipDepth = nil
            }
            if isEdited, index > 0, decision.edits.removed.contains(index) {
                skipDepth = depth
                continue
            }
            guard next < crossing.elementCount else { break }
            places[index] = next
            next += 1
            if isEdited, decision.edits.texts.contains(where: { $0.index == index }) { skipDepth = depth }
            if isEdited, decision.edits.leaves.contains(where: { $0.index == index }) { next += 1 }
        }
        return places
    }

    // MARK: The whole

    func wholeRule(_ verdict: ProfileVerdict) -> Explanation.Rule {
        switch decision.cause {
        case .untouched:
            return .hard(
                stanza.kind == .presence && stanza.hasChild(.fmuc)
                    ? "what federated rooms say to each other is never filtered"
                    : "errors, answers and subscription stanzas cross as they are")
        case .element(_, let code): return elementRule(code, verdict)
        case .textLimit: return rule(plan?.textLimit.origin)
        case .stanzaLimit: return rule(plan?.stanzaLimit.origin)
        case .mode: return rule(plan?.modeOrigin)
        case .serverOwned: return .hard("only a server may say this, and it comes from a user of the other site")
        case .nothingLeft: return .hard("nothing that anybody waits for is left of it")
        case nil: return .none
        }
    }

    private func elementRule(_ code: Int, _ verdict: ProfileVerdict) -> Explanation.Rule {
        guard let plan else { return .none }
        let flags = plan.flags[code]
        if case .drop(.onlyMetadata) = verdict { return rule(plan.dropOrigins[code]) }
        if flags.contains(.refuse) { return rule(plan.refuseOrigins[code]) }
        if case .answerLocally = verdict { return rule(plan.answerOrigins[code]) }
        if flags.contains(.strip) {
            return .hard(
                "it may not cross (\(plan.foldOrigins[code]?.description ?? "profile")) and nothing else says the same")
        }
        return .none
    }

    private func rule(_ origin: RuleOrigin?) -> Explanation.Rule { origin.map { .profile($0) } ?? .none }

    // MARK: Elements

    func node(_ index: Int, parent: Explanation.Node?) -> Explanation.Node {
        let element = stanza.cursor(at: index)
        let (fate, rule) = verdict(of: index, depth: stanza.element(at: index).depth, parent)
        var bytesAfter = 0
        if fate != .removed, fate != .unsent, let crossing {
            bytesAfter =
                after[index].map { crossing.element(at: $0).byteCount } ?? (index == 0 ? crossing.byteCount : 0)
        }
        var node = Explanation.Node(
            name: element.name, namespace: element.namespace, fate: fate, rule: rule,
            bytesBefore: stanza.element(at: index).byteCount, bytesAfter: bytesAfter, children: [])
        if isEdited, let leaf = decision.edits.leaves.first(where: { $0.index == index })?.leaf {
            let bytes = after[index].flatMap { place in crossing.map { $0.element(at: place + 1).byteCount } } ?? 0
            node.children.append(
                Explanation.Node(
                    name: leaf.name, namespace: leaf.namespace, fate: .added, rule: self.rule(plan?.roomHistoryOrigin),
                    bytesBefore: 0, bytesAfter: bytes, children: []))
        }
        for child in element.childPlaces { node.children.append(self.node(child.index, parent: node)) }
        return node
    }

    private func verdict(
        of index: Int, depth: Int, _ parent: Explanation.Node?
    ) -> (Explanation.Fate, Explanation.Rule) {
        guard crossing != nil else {
            if case .element(let cause, let code)? = decision.cause, cause == index {
                return (.unsent, elementRule(code, outcome))
            }
            if case .textLimit(let cause)? = decision.cause, cause == index {
                return (.unsent, rule(plan?.textLimit.origin))
            }
            return (.unsent, .none)
        }
        if index == 0 { return (isReplaced ? .removed : .kept, .none) }
        if isReplaced { return (.removed, .none) }
        if let parent, parent.fate == .removed || parent.fate == .cut { return (.removed, parent.rule) }
        if isEdited, decision.edits.removed.contains(index) { return (.removed, removal(index, depth)) }
        if isEdited, decision.edits.texts.contains(where: { $0.index == index }) {
            return (.cut, rule(plan?.textLimit.origin))
        }
        return (.kept, depth == 1 ? keeping(index) : parent?.rule ?? .none)
    }

    private var isReplaced: Bool { if case .replace = decision.outcome { true } else { false } }

    private var outcome: ProfileVerdict {
        switch decision.outcome {
        case .drop(let reason): .drop(reason)
        case .refuse(let refusal): .refuse(refusal)
        case .answerLocally(let otherwise): .answerLocally(otherwise: otherwise)
        case .pass, .replace: .pass
        }
    }

    private func code(_ index: Int) -> Int {
        codes.code(of: stanza.element(at: index).name, at: index, in: stanza)
    }

    private func removal(_ index: Int, _ depth: Int) -> Explanation.Rule {
        if decision.serverOwned.contains(index) {
            return .hard("only a server may say this, and it comes from the other site")
        }
        guard let plan else { return .none }
        // Below the children names are looked up by themselves.
        let code = depth == 1 ? code(index) : Int(stanza.element(at: index).name.code)
        if depth > 1, code == PayloadVocabulary.otherCode { return rule(plan.roomHistoryOrigin) }
        if plan.flags[code].contains(.strip) { return rule(plan.foldOrigins[code]) }
        if plan.flags[code].contains(.describesText) { return .hard("it counts the characters of a text that was cut") }
        return .none
    }

    private func keeping(_ index: Int) -> Explanation.Rule {
        guard let plan, decision.cause != .untouched else { return .none }
        let code = code(index)
        let payload = codes.payload(of: code)
        let role = stanza.kind == .presence ? payload?.presenceRole : payload?.role
        if code == PayloadVocabulary.protectedCode { return .hard("security labels and signatures are always kept") }
        if stanza.type == .groupchat, code == Code.stanzaID {
            return .hard("rooms need their ids for replies, markers and moderation")
        }
        if role == .kept {
            return .hard("always kept" + (payload.flatMap { HardRules.keptReasons[$0.name] }.map { ": \($0)" } ?? ""))
        }
        if stanza.kind == .iq { return rule(plan.refuseOrigins[code]) }
        return rule(plan.foldOrigins[code])
    }
}
