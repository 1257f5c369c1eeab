import ConfigurationText

/// One profile file as it was written, without what it inherits.
struct ProfileDocument {
    private(set) var profile: Profile
    /// `inherits`.
    private(set) var parent: Sourced<String>?
    private(set) var problems: [ConfigurationProblem] = []

    /// - Parameter expectedName: the name by which the file was found; its `name` must say the same.
    init(_ source: ProfileLibrary.Source, expectedName: String) {
        profile = Profile(name: expectedName)
        let reader = ConfigurationReader(file: source.file, text: source.text)
        do {
            if case .table(let entries) = try TOMLNode.parse(source.text) {
                read(TableReader(reader, .root, entries), expectedName)
            }
        } catch {
            reader.report(line: error.line, "TOML syntax, column \(error.column): \(error.message)")
        }
        problems = reader.problems
    }

    private mutating func read(_ root: TableReader, _ expectedName: String) {
        let allowed = "the name by which the profile is found, \"\(expectedName)\""
        if let name = root.string("name", allowed: allowed) {
            if name != expectedName { root.report("name", "not the name of this file", allowed: allowed) }
        } else if !root.has("name") {
            root.reportMissing("name", allowed: allowed)
        }
        profile.summary = root.string("description", allowed: "one line") ?? ""
        let reading = ProfileReading(reader: root.reader, profile: expectedName)
        if let name = root.string("inherits", allowed: "the name of another profile") {
            parent = Sourced(name, reading.origin(root.path.key("inherits")))
        }
        if let table = root.table("message") { readMessage(table, reading) }
        if let table = root.table("presence") { readPresence(table, reading) }
        if let table = root.table("iq") { readIQ(table, reading) }
        if let table = root.table("outbox") { profile.outbox = reading.outbox(table) }
        if let table = root.table("block") { profile.block = reading.block(table) }
        root.finish()
    }

    private mutating func readMessage(_ table: TableReader, _ reading: ProfileReading) {
        for rule in table.tables("rule") {
            let when = reading.condition(rule, shapes: StanzaShape.messages)
            let settings = reading.message(rule, isRule: true, shapes: when.shapes)
            rule.finish()
            profile.messageRules.append(Profile.Rule(when: when, settings: settings, origin: reading.origin(rule.path)))
        }
        profile.message = reading.message(table, isRule: false, shapes: [])
        table.finish()
    }

    private mutating func readPresence(_ table: TableReader, _ reading: ProfileReading) {
        for rule in table.tables("rule") {
            let when = reading.condition(rule, shapes: StanzaShape.presence)
            let settings = reading.presence(rule, isRule: true)
            rule.finish()
            profile.presenceRules.append(
                Profile.Rule(when: when, settings: settings, origin: reading.origin(rule.path)))
        }
        profile.presence = reading.presence(table, isRule: false)
        table.finish()
    }

    private mutating func readIQ(_ table: TableReader, _ reading: ProfileReading) {
        for rule in table.tables("rule") {
            let when = reading.condition(rule, shapes: StanzaShape.iq)
            let settings = reading.iq(rule)
            rule.finish()
            profile.iqRules.append(Profile.Rule(when: when, settings: settings, origin: reading.origin(rule.path)))
        }
        profile.iq = reading.iq(table)
        table.finish()
    }
}
