import ConfigurationText
import NIOCore
import XMPP

/// One `[[peer]]` as far as it could be read; problems have been reported.
struct PeerReading {
    var name: String?
    var domains: [TableReader.Located<DomainPattern>]
    var listen: TableReader.Located<Endpoint>?
    /// Whole only when everything could be read.
    var configuration: PeerConfiguration?
    let path: TOMLPath

    init(_ table: TableReader) {
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
        let outbox = OutboxReading.outbox(table.table("outbox"))
        let inbox = OutboxReading.inbox(table.table("inbox"))
        let block = BlockReading.block(table.table("block"))
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
                name: name, domains: self.domains.map(\.value), rooms: rooms, dialect: dialect,
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
