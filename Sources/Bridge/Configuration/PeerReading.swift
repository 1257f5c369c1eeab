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
        let dialect = table.choice("dialect", [("xep", PeerConfiguration.Dialect.xep)], unavailable: ["skywave"])
        let outbox = PeerReading.outbox(table.table("outbox"))
        let transportTable = table.table("transport")
        var transport: TransportConfiguration?
        if let transportTable {
            let reading = TransportReading(transportTable, domains: self.domains.map(\.value))
            listen = reading.listen
            transport = reading.configuration
        } else if !table.has("transport") {
            table.reportMissing("transport", allowed: "a table [peer.transport]")
        }
        table.finish()
        if let name, let transport {
            configuration = PeerConfiguration(
                name: name, domains: self.domains.map(\.value), rooms: rooms, dialect: dialect ?? .xep,
                transport: transport, outbox: outbox)
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

    private static func outbox(_ table: TableReader?) -> OutboxConfiguration {
        var outbox = OutboxConfiguration()
        guard let table else { return outbox }
        outbox.maximumBytes = table.size("max-bytes", in: (64 << 10)...(4 << 30)) ?? outbox.maximumBytes
        outbox.maximumStanzas = table.integer("max-stanzas", in: 16...10_000_000) ?? outbox.maximumStanzas
        outbox.messageLifetime =
            table.duration("message-lifetime", in: .seconds(1) ... .hours(720)) ?? outbox.messageLifetime
        outbox.iqTimeout = table.duration("iq-timeout", in: .seconds(1) ... .hours(24)) ?? outbox.iqTimeout
        outbox.presenceLifetime =
            table.duration("presence-lifetime", in: .seconds(1) ... .hours(24)) ?? outbox.presenceLifetime
        table.finish()
        return outbox
    }
}
