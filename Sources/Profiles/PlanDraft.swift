import NIOCore

/// A plan in the making: settings are laid over each other in order, hard rules last.
struct PlanDraft {
    /// What was said last of one payload.
    struct Mark {
        var isSet = false
        var origin: RuleOrigin?
    }

    let codes: CodeSpace
    let shape: StanzaShape
    var strip: [Mark]
    var drop: [Mark]
    var refuse: [Mark]
    var answer: [Mark]
    var textLimit = Limit.none
    var stanzaLimit = Limit.none
    /// Where no file says a mode, what it strips goes all the same.
    var mode = PresenceMode.fold
    var modeOrigin: RuleOrigin?
    var roomHistory: RoomHistoryLimit?
    var roomHistoryOrigin: RuleOrigin?
    var minimumInterval = TimeAmount.zero
    var vCardLifetime = TimeAmount.hours(24)
    /// Filled in by ``finish()``.
    private(set) var flags: [PayloadFlags] = []

    static let nestedCodes = PayloadVocabulary.all.indices
        .filter { PayloadVocabulary.all[$0].places.contains(.nested) }
        .flatMap { PayloadVocabulary.codesOfPayload[$0] }

    init(_ codes: CodeSpace, _ shape: StanzaShape) {
        self.codes = codes
        self.shape = shape
        let nothing = [Mark](repeating: Mark(), count: codes.count)
        (strip, drop, refuse, answer) = (nothing, nothing, nothing, nothing)
    }

    // MARK: Settings

    mutating func lay(_ settings: MessageSettings) {
        fold(settings.folding)
        if shape != .groupchat { set(&strip, settings.stripInChat, true) }
        set(&drop, settings.dropWhenOnly, true)
        set(&refuse, settings.refuse, true)
        set(&strip, settings.keep, false)
        set(&refuse, settings.keep, false)
        set(&drop, settings.keep, false)
        lay(settings.maximumBodyBytes, over: &textLimit)
        lay(settings.maximumBytes, over: &stanzaLimit)
    }

    mutating func lay(_ settings: PresenceSettings) {
        if let said = settings.mode { (mode, modeOrigin) = (said.value, said.origin) }
        if let said = settings.minimumInterval { minimumInterval = said.value }
        if let said = settings.roomHistory { (roomHistory, roomHistoryOrigin) = (said.value, said.origin) }
        fold(settings.folding)
        set(&strip, settings.keep, false)
        lay(settings.maximumStatusBytes, over: &textLimit)
    }

    mutating func lay(_ settings: IQSettings) {
        if let said = settings.fallback {
            for code in refuse.indices { refuse[code] = Mark(isSet: said.value == .refuse, origin: said.origin) }
        }
        if settings.allowRank <= settings.refuseRank {
            set(&refuse, settings.allow, false)
            set(&refuse, settings.refuse, true)
        } else {
            set(&refuse, settings.refuse, true)
            set(&refuse, settings.allow, false)
        }
        if let list = settings.answerLocally {
            for code in answer.indices { answer[code] = Mark() }
            set(&answer, list, true)
        }
        if let said = settings.vCardLifetime { vCardLifetime = said.value }
        set(&strip, settings.strip, true)
        lay(settings.maximumBytes, over: &stanzaLimit)
    }

    private mutating func fold(_ folding: Folding?) {
        switch folding {
        case nil: break
        case .strip(let list): set(&strip, list, true)
        case .keepOnly(let list, let origin):
            for code in strip.indices { strip[code] = Mark(isSet: true, origin: origin) }
            set(&strip, list, false)
        }
    }

    private func set(_ marks: inout [Mark], _ list: PayloadList?, _ value: Bool) {
        for entry in list ?? [] {
            for code in codes.codes(of: entry.value) { marks[code] = Mark(isSet: value, origin: entry.origin) }
        }
    }

    private func lay(_ said: Sourced<Int?>?, over limit: inout Limit) {
        guard let said else { return }
        limit = Limit(bytes: said.value ?? Int.max, origin: said.origin)
    }

    // MARK: Hard rules

    /// Lays the hard rules over all that was said and makes the table.
    mutating func finish() -> Plan {
        let isPresence = shape == .available || shape == .unavailable
        if isPresence { finishMode() }
        flags = strip.indices.map { code in
            var flags: PayloadFlags = []
            let payload = codes.payload(of: code)
            let role = isPresence ? payload?.presenceRole ?? .extra : payload?.role ?? .extra
            let isKept = role == .kept || code == PayloadVocabulary.protectedCode
            // Rooms need their ids for replies, markers and moderation (XEP-0359, XEP-0425).
            let isRoomsID = shape == .groupchat && code == PayloadVocabulary.Code.stanzaID
            if strip[code].isSet, !isKept, !isRoomsID { flags.insert(.strip) }
            if refuse[code].isSet, !isKept { flags.insert(.refuse) }
            if drop[code].isSet, !isKept, role != .meaning { flags.insert([.drop, .quiet]) }
            if answer[code].isSet, shape == .get { flags.insert(.answer) }
            switch role {
            case .kept: break
            case .meaning: flags.insert(.meaning)
            case .extra: if payload == nil, !isKept { flags.insert(.foreign) }
            case .metadata: flags.insert(.metadata)
            case .companion: flags.insert([.companion, .silent, .quiet])
            }
            if code == PayloadVocabulary.protectedCode || payload.map({ Self.silentNames.contains($0.name) }) ?? false {
                flags.insert([.silent, .quiet])
            }
            switch payload?.name {
            case "encryption-mark", "fallback": flags.insert(.marksFallback)
            case "body", "status": flags.insert(.text)
            case "xhtml", "markup", "references": flags.insert(.describesText)
            case "fmuc": flags.insert([.room, .federatedRoom])
            case "muc", "muc-user": flags.insert(.room)
            default: break
            }
            return flags
        }
        return Plan(self)
    }

    /// What is always kept and says nothing without something else.
    private static let silentNames = ["security-labels", "signatures", "delay", "fallback", "headers"]

    private mutating func finishMode() {
        switch mode {
        case .pass:
            for code in strip.indices { strip[code] = Mark() }
        case .fold: break
        case .availability, .none:
            // Of presence that a room needs or that ends an availability as little crosses as can be.
            for code in strip.indices { strip[code] = Mark(isSet: true, origin: modeOrigin) }
        }
    }
}
