import ConfigurationText
import NIOCore
import XMPP

/// Reads the parts of one profile file; problems go to the reader.
struct ProfileReading {
    let reader: ConfigurationReader
    /// The profile's name.
    let profile: String

    func origin(_ path: TOMLPath) -> RuleOrigin {
        RuleOrigin(profile: profile, file: reader.file, line: reader.line(of: path), key: path.description)
    }

    private func sourced<Value>(_ value: Value, _ table: TableReader, _ key: String) -> Sourced<Value> {
        Sourced(value, origin(table.path.key(key)))
    }

    // MARK: Sections

    func message(_ table: TableReader, isRule: Bool, shapes: Set<StanzaShape>) -> MessageSettings {
        var settings = MessageSettings()
        refuseToDrop(
            table, "drop", "a message is delivered, waits, or comes back: use \"drop-when-only\" or \"refuse\"")
        settings.dropWhenOnly = list(table, "drop-when-only", in: .message, .dropped)
        let reachesRooms = shapes.isEmpty || shapes.contains(.groupchat)
        settings.folding = folding(table, in: .message, reachesRooms ? .strippedInRooms : .stripped)
        settings.stripInChat = list(table, "strip-in-chat", in: .message, .stripped)
        settings.refuse = list(table, "refuse", in: .message, .refused)
        if isRule { settings.keep = list(table, "keep", in: .message, .any) }
        settings.maximumBodyBytes = limit(table, "max-body-bytes", in: 16...524_288)
        settings.maximumBytes = limit(table, "max-bytes", in: 1_000...524_288)
        return settings
    }

    func presence(_ table: TableReader, isRule: Bool) -> PresenceSettings {
        var settings = PresenceSettings()
        refuseToDrop(table, "drop", "what of presence crosses is said by \"mode\"")
        settings.mode = table.choice("mode", PresenceMode.allCases.map { ($0.rawValue, $0) })
            .map { sourced($0, table, "mode") }
        settings.folding = folding(table, in: .presence, .strippedFromPresence)
        if let mode = settings.mode?.value, mode != .fold, let folding = settings.folding {
            let key = if case .strip = folding { "strip" } else { "keep-only" }
            table.report(
                key, "only used with mode = \"fold\"", allowed: "remove it, or change the mode", showsValue: false)
        }
        if isRule { settings.keep = list(table, "keep", in: .presence, .any) }
        if table.isWord("min-interval", "none") {
            settings.minimumInterval = sourced(.zero, table, "min-interval")
        } else {
            settings.minimumInterval = table.duration("min-interval", in: .seconds(1) ... .hours(24))
                .map { sourced($0, table, "min-interval") }
        }
        settings.maximumStatusBytes = limit(table, "max-status-bytes", in: 16...524_288)
        settings.roomHistory = roomHistory(table)
        if !isRule { settings.linkDown = linkDown(table) }
        return settings
    }

    func iq(_ table: TableReader) -> IQSettings {
        var settings = IQSettings()
        refuseToDrop(table, "drop", "an IQ get or set gets exactly one answer: refuse it instead")
        if table.isWord("default", "drop") {
            table.report("default", "an IQ get or set gets exactly one answer", allowed: "\"allow\" or \"refuse\"")
        } else {
            settings.fallback = table.choice("default", IQDefault.allCases.map { ($0.rawValue, $0) })
                .map { sourced($0, table, "default") }
        }
        settings.allow = list(table, "allow", in: .iq, .any)
        settings.refuse = list(table, "refuse", in: .iq, .refused)
        settings.answerLocally = list(table, "answer-locally", in: .iq, .answered)
        if table.isWord("vcard-lifetime", "none") {
            settings.vCardLifetime = sourced(.zero, table, "vcard-lifetime")
        } else {
            settings.vCardLifetime = table.duration("vcard-lifetime", in: .minutes(1) ... .hours(24 * 30))
                .map { sourced($0, table, "vcard-lifetime") }
        }
        settings.strip = list(table, "strip", in: .iq, .nested)
        settings.maximumBytes = limit(table, "max-iq-bytes", in: 512...524_288)
        return settings
    }

    // MARK: Rules

    /// `when`, which every rule needs.
    func condition(_ rule: TableReader, shapes: [StanzaShape]) -> RuleCondition {
        var condition = RuleCondition()
        guard let table = rule.table("when") else {
            if !rule.has("when") {
                rule.reportMissing(
                    "when", allowed: "what the rule is for, as { type = \"groupchat\", direction = \"out\" }")
            }
            return condition
        }
        defer { table.finish() }
        if table.presentKeys.isEmpty {
            rule.report("when", "a rule for everything", allowed: "write its keys into the section itself")
        }
        let names = shapes.map(\.rawValue)
        let allowedTypes = "allowed: " + names.map { "\"\($0)\"" }.joined(separator: ", ")
        for text in table.stringOrStrings("type", allowed: allowedTypes) ?? [] {
            if let shape = StanzaShape(rawValue: text.value), shapes.contains(shape) {
                condition.shapes.insert(shape)
            } else {
                reader.report(text.path, value: TOMLNode.string(text.value).shown, "unknown type", allowed: allowedTypes)
            }
        }
        let directions: [(String, Set<ProfileDirection>)] = [("out", [.out]), ("in", [.in]), ("both", [.in, .out])]
        condition.directions = table.choice("direction", directions) ?? condition.directions
        let allowedDomains = "domains of the other site, as \"hq.example\" or \"*.hq.example\""
        for text in table.strings("domains", allowed: allowedDomains) ?? [] {
            if let pattern = DomainPattern(text.value) {
                condition.domains.append(pattern)
            } else {
                reader.report(
                    text.path, value: TOMLNode.string(text.value).shown, "not a domain name", allowed: allowedDomains)
            }
        }
        if table.isEmptyArray("domains") { table.report("domains", "no domain", allowed: allowedDomains) }
        return condition
    }

    // MARK: Lists

    private func folding(_ table: TableReader, in places: PayloadPlaces, _ use: HardRules.Use) -> Folding? {
        let strip = list(table, "strip", in: places, use)
        let keepOnly = list(table, "keep-only", in: places, .any)
        if strip != nil, keepOnly != nil {
            table.report("keep-only", "given beside strip", allowed: "one of them", showsValue: false)
            return nil
        }
        if let keepOnly { return .keepOnly(keepOnly, origin(table.path.key("keep-only"))) }
        return strip.map { .strip($0) }
    }

    private func list(
        _ table: TableReader, _ key: String, in places: PayloadPlaces, _ use: HardRules.Use
    ) -> PayloadList? {
        let allowed = "short names such as \"\(HardRules.example(places))\", and { ns = \"…\", name = \"…\" }"
        guard let elements = table.elements(key, allowed: allowed) else { return nil }
        var entries: PayloadList = []
        for element in elements {
            guard let selector = selector(element, allowed: allowed) else { continue }
            if let reason = HardRules.objection(to: selector, in: places, use) {
                reader.report(element.path, value: selector.shown, reason.message, allowed: reason.allowed)
                continue
            }
            if entries.contains(where: { $0.value == selector }) {
                reader.report(element.path, value: selector.shown, "listed twice")
                continue
            }
            entries.append(Sourced(selector, origin(element.path)))
        }
        return entries
    }

    private func selector(_ element: TableReader.Located<TOMLNode>, allowed: String) -> PayloadSelector? {
        switch element.value {
        case .string(let name):
            if let payloads = PayloadVocabulary.payloads(named: name) { return .short(name, payloads: payloads) }
            let meant = Spelling.suggestion(for: name, among: PayloadVocabulary.names)
            reader.report(
                element.path, value: element.value.shown,
                meant.map { "no such short name; did you mean \"\($0)\"?" } ?? "no such short name", allowed: allowed)
        case .table(let entries):
            let table = TableReader(reader, element.path, entries)
            defer { table.finish() }
            let name = table.string("name", allowed: "the element's name")
            guard let namespace = table.string("ns", allowed: "the element's namespace") else {
                if !table.has("ns") { table.reportMissing("ns", allowed: "the element's namespace") }
                return nil
            }
            guard !namespace.isEmpty, namespace != XMLNamespace.server else {
                table.report(
                    "ns", "not a namespace of payloads", allowed: "elements of the stanza's own have short names")
                return nil
            }
            if name?.isEmpty ?? false { table.report("name", "not a name", allowed: "the element's name") }
            return .element(namespace: namespace, local: name)
        default:
            reader.report(element.path, value: element.value.shown, "this is \(element.value.kind)", allowed: allowed)
        }
        return nil
    }

    // MARK: Values

    /// A size, or `"none"`, which lifts what was inherited.
    private func limit(_ table: TableReader, _ key: String, in range: ClosedRange<Int>) -> Sourced<Int?>? {
        if table.isWord(key, "none") { return sourced(nil, table, key) }
        return table.size(key, in: range).map { sourced(.some($0), table, key) }
    }

    private func linkDown(_ table: TableReader) -> LinkDownSettings? {
        if table.isWord("link-down", "keep") { return LinkDownSettings() }
        let allowed = "\"keep\" or { mark-after = \"5m\", unavailable-after = \"1h\" }"
        guard let down = table.table("link-down", allowed: allowed) else { return nil }
        let times = TimeAmount.seconds(1) ... .hours(24 * 7)
        let settings = LinkDownSettings(
            markAfter: down.duration("mark-after", in: times),
            unavailableAfter: down.duration("unavailable-after", in: times))
        if down.presentKeys.isEmpty {
            table.report("link-down", "says nothing", allowed: allowed, showsValue: false)
        } else if let mark = settings.markAfter, let gone = settings.unavailableAfter, mark >= gone {
            down.report("mark-after", "nobody would see the mark", allowed: "less than unavailable-after")
        }
        down.finish()
        return settings
    }

    private func roomHistory(_ table: TableReader) -> Sourced<RoomHistoryLimit?>? {
        if table.isWord("room-history", "none") {
            return sourced(RoomHistoryLimit(stanzas: 0), table, "room-history")
        }
        if table.isWord("room-history", "all") { return sourced(nil, table, "room-history") }
        let allowed = "\"all\", \"none\" or { stanzas = 20, chars = 8000, age = \"1h\" }"
        guard let history = table.table("room-history", allowed: allowed) else { return nil }
        let limit = RoomHistoryLimit(
            stanzas: history.integer("stanzas", in: 0...100_000),
            characters: history.integer("chars", in: 0...10_000_000),
            age: history.duration("age", in: .seconds(1) ... .hours(24 * 365)))
        if history.presentKeys.isEmpty {
            table.report("room-history", "no limit", allowed: allowed, showsValue: false)
        }
        history.finish()
        return sourced(limit, table, "room-history")
    }

    private func refuseToDrop(_ table: TableReader, _ key: String, _ reason: String) {
        if table.hasForbidden(key) { table.report(key, reason, showsValue: false) }
    }
}
