import XMPP

extension CompiledProfile {
    /// Judges a stanza. Changes nothing and copies nothing.
    func decide(_ stanza: Stanza, direction: ProfileDirection, sender: StanzaSender) -> Decision {
        var decision = Decision()
        if direction == .in {
            ServerOwned.find(in: stanza, sender: sender, into: &decision)
            if decision.cause == .serverOwned { return decision }
        }
        switch stanza.kind {
        case .message: decideMessage(stanza, direction, sender, &decision)
        case .presence: decidePresence(stanza, direction, &decision)
        case .iq: decideIQ(stanza, direction, &decision)
        case .other: decision.cause = .untouched
        }
        return decision
    }

    // MARK: Messages

    private func decideMessage(
        _ stanza: Stanza, _ direction: ProfileDirection, _ sender: StanzaSender, _ decision: inout Decision
    ) {
        guard let shape = StanzaShape(stanza) else {
            decision.cause = .untouched
            return
        }
        let plan = plan(shape, direction, stanza)
        if plan.passesAll { return }
        var any: PayloadFlags = []
        var all = PayloadFlags(rawValue: UInt16.max)
        var stripped: PayloadFlags = []
        var keepsContent = false
        var isOversize = false
        var removed = decision.edits.removed
        stanza.forEachChild { index, name in
            if removed.contains(index) { return }
            let flags = plan.flags[codes.code(of: name, at: index, in: stanza)]
            any.formUnion(flags)
            all.formIntersection(flags)
            if flags.contains(.strip) {
                removed.insert(index)
                stripped.formUnion(flags)
                stripped.formUnion(flags.isDisjoint(with: [.companion, .metadata]) ? .extraContent : [])
            } else if !flags.contains(.quiet) {
                keepsContent = true
            }
            if flags.contains(.text), stanza.contentIsLonger(than: plan.textLimit.bytes, at: index) {
                isOversize = true
            }
        }
        let isRoom = isRooms(stanza, sender, any)
        if any.contains(.refuse) {
            return refuse(stanza, plan, having: .refuse, isRoom: isRoom, &decision)
        }
        // Only what is left of it would cross, and that was never meant to be read alone.
        if stripped.contains(.meaning) {
            return refuse(stanza, plan, having: [.strip, .meaning], isRoom: isRoom, &decision)
        }
        if any.contains(.marksFallback), stripped.contains(.foreign) {
            return refuse(stanza, plan, having: [.strip, .foreign], isRoom: isRoom, &decision)
        }
        if any.contains(.drop), all.contains(.quiet) {
            decision.outcome = .drop(.onlyMetadata)
            decision.cause = firstElement(stanza, plan, having: .drop)
            return
        }
        if !stripped.isEmpty, !keepsContent {
            if stripped.contains(.extraContent) {
                return refuse(
                    stanza, plan, having: .strip, lacking: [.companion, .metadata], isRoom: isRoom, &decision)
            }
            if stripped.contains(.metadata) {
                decision.outcome = .drop(.nothingLeft)
                decision.cause = .nothingLeft
                return
            }
        }
        decision.edits.removed = removed
        if plan.stripsNested { stripNested(stanza, plan, &decision) }
        if isOversize, !limitText(stanza, plan, isRoom: isRoom, &decision) { return }
        guard plan.stanzaLimit.bytes < stanza.byteCount else { return }
        let folded = stanza.applying(decision.edits)
        decision.folded = folded
        if folded.byteCount > plan.stanzaLimit.bytes {
            decision.cause = .stanzaLimit
            end(&decision, Refusal.oversize("a message", plan.stanzaLimit.bytes), isRoom: isRoom)
        }
    }

    /// Whether an error would reach a room. What the caller does not know, the stanza tells: rooms write to full addresses,
    /// and mark private messages with their namespace.
    private func isRooms(_ stanza: Stanza, _ sender: StanzaSender, _ any: PayloadFlags) -> Bool {
        if sender == .room { return true }
        guard sender == .unknown, stanza.toHasResource else { return false }
        return stanza.type == .groupchat || any.contains(.room)
    }

    private func refuse(
        _ stanza: Stanza, _ plan: Plan, having flags: PayloadFlags, lacking others: PayloadFlags = [], isRoom: Bool,
        _ decision: inout Decision
    ) {
        let cause = firstElement(stanza, plan, having: flags, lacking: others)
        decision.cause = cause
        var payload: Payload?
        if case .element(_, let code)? = cause { payload = codes.payload(of: code) }
        end(&decision, .payload(payload, in: stanza.kind), isRoom: isRoom)
    }

    private func end(_ decision: inout Decision, _ refusal: Refusal, isRoom: Bool) {
        decision.edits = StanzaEdits()
        decision.outcome = isRoom ? .drop(.fromRoom(refusal)) : .refuse(refusal)
    }

    private func firstElement(
        _ stanza: Stanza, _ plan: Plan, having flags: PayloadFlags, lacking others: PayloadFlags = []
    ) -> Decision.Cause? {
        var found: Decision.Cause?
        stanza.forEachChild { index, name in
            guard found == nil else { return }
            let code = codes.code(of: name, at: index, in: stanza)
            if plan.flags[code].isSuperset(of: flags), plan.flags[code].isDisjoint(with: others) {
                found = .element(index, code: code)
            }
        }
        return found
    }

    /// Bounces a message whose text is too long; what a room says is cut. False where the message does not cross.
    private func limitText(_ stanza: Stanza, _ plan: Plan, isRoom: Bool, _ decision: inout Decision) -> Bool {
        let cuts = self.cuts(stanza, plan)
        guard let first = cuts.first else { return true }
        decision.cause = .textLimit(first.index)
        guard isRoom else {
            end(&decision, .oversize("a text", plan.textLimit.bytes), isRoom: false)
            return false
        }
        decision.edits.texts = cuts
        decision.isTruncated = true
        stanza.forEachChild { index, name in
            let flags = plan.flags[codes.code(of: name, at: index, in: stanza)]
            if flags.contains(.describesText) { decision.edits.removed.insert(index) }
        }
        return true
    }

    /// The texts of a stanza that are longer than the plan's limit, each cut to it.
    private func cuts(_ stanza: Stanza, _ plan: Plan) -> [(index: Int, text: String)] {
        var cuts: [(index: Int, text: String)] = []
        stanza.forEachChild { index, name in
            let flags = plan.flags[codes.code(of: name, at: index, in: stanza)]
            guard flags.contains(.text), stanza.contentIsLonger(than: plan.textLimit.bytes, at: index) else { return }
            // Escaping may have made more of it than the sender wrote.
            if let cut = TextCut.cut(stanza.cursor(at: index).text, toBytes: plan.textLimit.bytes) {
                cuts.append((index, cut))
            }
        }
        return cuts
    }

    /// Takes out parts of payloads, never within what is kept as it is or was signed or forwarded by somebody.
    private func stripNested(_ stanza: Stanza, _ plan: Plan, _ decision: inout Decision) {
        stanza.forEachDescendant { index, name, child in
            guard name != .unknown, plan.flags[Int(name.code)].contains(.strip),
                PlanDraft.nestedCodes.contains(Int(name.code))
            else { return }
            let holder = codes.payload(of: Int(child.code))
            guard holder?.role != .kept, holder?.name != "forwarded", holder?.name != "archive-results" else { return }
            decision.edits.removed.insert(index)
        }
    }

    // MARK: Presence

    private func decidePresence(_ stanza: Stanza, _ direction: ProfileDirection, _ decision: inout Decision) {
        guard let shape = StanzaShape(stanza) else {
            decision.cause = .untouched
            // A probe asks for what does not cross anyway.
            if stanza.type == .probe, !stanza.isRoomPresence, plan(.available, direction, stanza).mode == .none {
                decision.outcome = .drop(.noPresence)
                decision.cause = .mode
            }
            return
        }
        let plan = plan(shape, direction, stanza)
        if plan.passesAll { return }
        var any: PayloadFlags = []
        var history: Int?
        var isOversize = false
        var removed = decision.edits.removed
        stanza.forEachChild { index, name in
            if removed.contains(index) { return }
            let flags = plan.flags[codes.code(of: name, at: index, in: stanza)]
            any.formUnion(flags)
            if flags.contains(.strip) {
                removed.insert(index)
            } else if flags.contains(.text), stanza.contentIsLonger(than: plan.textLimit.bytes, at: index) {
                isOversize = true
            }
            if name == .muc { history = history ?? index }
        }
        if any.contains(.federatedRoom) {
            // Never filtered (XEP-0289).
            decision.cause = .untouched
            return
        }
        if plan.mode == .none, shape == .available, !any.contains(.room) {
            decision.edits = StanzaEdits()
            decision.outcome = .drop(.noPresence)
            decision.cause = .mode
            return
        }
        decision.edits.removed = removed
        if isOversize {
            let cuts = self.cuts(stanza, plan)
            decision.edits.texts += cuts
            decision.isTruncated = !cuts.isEmpty
        }
        if let join = history, let limit = plan.roomHistory, shape == .available {
            limitHistory(stanza, join, limit, &decision)
        }
    }

    /// Makes a join ask for no more history than the link bears.
    private func limitHistory(
        _ stanza: Stanza, _ join: Int, _ limit: RoomHistoryLimit, _ decision: inout Decision
    ) {
        let asked = stanza.cursor(at: join).childPlaces.filter {
            $0.element.name == "history" && $0.isInParentNamespace
        }
        var attributes: [(name: String, value: String)] = []
        if let first = asked.first {
            for name in ["maxchars", "maxstanzas", "seconds", "since"] {
                if let value = first.element.attribute(name) { attributes.append((name, value)) }
            }
        }
        guard let limited = limit.limiting(attributes) else {
            if asked.count > 1 { for other in asked.dropFirst() { decision.edits.removed.insert(other.index) } }
            return
        }
        for other in asked { decision.edits.removed.insert(other.index) }
        let leaf = StanzaEdits.Leaf(name: "history", namespace: XMLNamespace.muc, attributes: limited)
        decision.edits.leaves.append((join, leaf))
        decision.historyIsLimited = true
    }

    // MARK: IQs

    private func decideIQ(_ stanza: Stanza, _ direction: ProfileDirection, _ decision: inout Decision) {
        guard let shape = StanzaShape(stanza) else {
            decision.cause = .untouched
            return
        }
        if direction == .in, shape == .set, let push = ServerOwned.push(in: stanza) {
            decision.cause = .serverOwned
            decision.outcome = .refuse(.payload(codes.payload(of: push), in: .iq))
            return
        }
        let plan = plan(shape, direction, stanza)
        if plan.passesAll { return }
        let isAnswer = shape == .result
        var payload: (index: Int, code: Int)?
        if !isAnswer {
            stanza.forEachChild { index, name in
                if payload == nil { payload = (index, codes.code(of: name, at: index, in: stanza)) }
            }
        }
        let flags = payload.map { plan.flags[$0.code] } ?? []
        var refusal: Refusal?
        if flags.contains(.refuse), let payload {
            refusal = .payload(codes.payload(of: payload.code), in: .iq)
            decision.cause = .element(payload.index, code: payload.code)
        } else {
            if plan.stripsNested { stripNested(stanza, plan, &decision) }
            refusal = limitIQ(stanza, plan, isAnswer: isAnswer, &decision)
        }
        if let payload, flags.contains(.answer) {
            decision.cause = .element(payload.index, code: payload.code)
            decision.edits = StanzaEdits()
            decision.outcome = .answerLocally(refusal)
        } else if let refusal {
            decision.edits = StanzaEdits()
            decision.outcome =
                isAnswer
                ? .replace(stanza.errorInPlace(refusal.condition, type: refusal.type, text: refusal.text))
                : .refuse(refusal)
        }
    }

    private func limitIQ(
        _ stanza: Stanza, _ plan: Plan, isAnswer: Bool, _ decision: inout Decision
    ) -> Refusal? {
        guard stanza.byteCount > plan.stanzaLimit.bytes else { return nil }
        let folded = stanza.applying(decision.edits)
        decision.folded = folded
        guard folded.byteCount > plan.stanzaLimit.bytes else { return nil }
        decision.cause = .stanzaLimit
        var refusal = Refusal.oversize(isAnswer ? "an answer" : "a request", plan.stanzaLimit.bytes)
        // Whoever asked can change nothing about the answer.
        if isAnswer { refusal.type = .cancel }
        return refusal
    }
}

extension Stanza {
    /// Presence that a room sends or gets as a room (XEP-0045, XEP-0289).
    var isRoomPresence: Bool { kind == .presence && (hasChild(.muc) || hasChild(.mucUser) || hasChild(.fmuc)) }
}

extension PayloadFlags {
    /// Something that is neither a companion nor metadata goes; no flag of a payload but of a stanza.
    static let extraContent = PayloadFlags(rawValue: 16_384)
}
