import ConfigurationText
import NIOCore
import Profiles
import XMPP

/// One `[[peer]]` as far as it could be read; problems have been reported.
struct PeerReading {
    var name: String?
    var domains: [TableReader.Located<DomainPattern>]
    var listen: TableReader.Located<Endpoint>?
    /// Whole only when everything could be read.
    var configuration: PeerConfiguration?
    let path: TOMLPath

    /// - Parameter profiles: where profiles are found.
    init(_ table: TableReader, _ profiles: ProfileFiles) {
        path = table.path
        name = PeerReading.name(table)
        let domains = table.domainPatterns("domains")
        self.domains = domains ?? []
        if domains == nil, !table.has("domains") {
            table.reportMissing("domains", allowed: "what lies behind this peer, as [\"hq.example\", \"*.hq.example\"]")
        } else if let domains, domains.isEmpty {
            table.report("domains", "no domain", allowed: "what lies behind this peer")
        }
        let rooms = PeerReading.rooms(table, among: self.domains.map(\.value))
        // Nil when it is there and wrong: then nothing that depends on it is judged.
        let dialect =
            table.choice("dialect", [("skywave", PeerConfiguration.Dialect.skywave), ("xep", .xep)])
            ?? (table.has("dialect") ? nil : .skywave)
        let profile = PeerReading.profile(table, profiles)
        let outbox = OutboxReading.outbox(table.table("outbox"), profile.outbox)
        let inbox = OutboxReading.inbox(table.table("inbox"))
        let block = BlockReading.block(table.table("block"), profile.block)
        for key in ["block", "inbox"] where dialect == .xep && table.has(key) {
            table.report(
                key, "only used with dialect = \"skywave\"", allowed: "remove it, or change the dialect",
                showsValue: false)
        }
        let transportTable = table.table("transport")
        var transport: TransportConfiguration?
        if let transportTable {
            let reading = TransportReading(transportTable, dialect: dialect, domains: self.domains.map(\.value))
            listen = reading.listen
            transport = reading.configuration
        } else if !table.has("transport") {
            table.reportMissing("transport", allowed: "a table [peer.transport]")
        }
        table.finish()
        if let name, let dialect, let transport {
            configuration = PeerConfiguration(
                name: name, domains: self.domains.map(\.value), rooms: rooms, profile: profile, dialect: dialect,
                transport: transport, outbox: outbox, inbox: inbox, block: block)
        }
    }

    private static func name(_ table: TableReader) -> String? {
        let allowed = "1 to 64 letters, digits, - _ ."
        guard let name = table.string("name", allowed: allowed) else {
            if !table.has("name") { table.reportMissing("name", allowed: allowed) }
            return nil
        }
        let isGood =
            (1...64).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
        guard isGood else {
            table.report("name", "not a name for a peer", allowed: allowed)
            return nil
        }
        return name
    }

    /// The profile that the peer names; where it names none or a bad one, one that says nothing.
    private static func profile(_ table: TableReader, _ profiles: ProfileFiles) -> Profile {
        let nothing = Profile(name: "none")
        guard let name = table.string("profile", allowed: "the name of a profile; skywave profile list names them") else {
            return nothing
        }
        do throws(ConfigurationProblems) {
            if try profiles.source(named: name) != nil { return try profiles.profile(named: name) }
        } catch {
            // Several peers may name the same one.
            table.reader.report(error.problems.filter { !table.reader.problems.contains($0) })
            return nothing
        }
        let names = profiles.names.map { "\"\($0)\"" }.joined(separator: ", ")
        table.report("profile", "no profile of this name", allowed: "allowed: \(names)")
        return nothing
    }

    private static func rooms(_ table: TableReader, among patterns: [DomainPattern]) -> [Domain] {
        (table.domains("rooms") ?? []).compactMap { room in
            guard patterns.contains(where: { $0.matches(room.value) }) else {
                table.reader.report(
                    room.path, value: "\"\(room.value)\"", "not one of this peer's domains",
                    allowed: "allowed: " + patterns.map { "\"\($0)\"" }.joined(separator: ", "))
                return nil
            }
            return room.value
        }
    }
}
