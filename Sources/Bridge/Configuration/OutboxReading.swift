import ConfigurationText
import NIOCore
import Profiles
import XMPP

/// Reads `[peer.outbox]` and `[peer.inbox]`.
enum OutboxReading {
    private static let bytes = (64 << 10)...(4 << 30)
    private static let stanzas = 16...10_000_000

    /// - Parameter profile: what the peer's profile says where the table says nothing.
    static func outbox(_ table: TableReader?, _ profile: ProfileOutbox = ProfileOutbox()) -> OutboxConfiguration {
        var outbox = OutboxConfiguration()
        outbox.take(profile)
        guard let table else { return outbox }
        defer { table.finish() }
        outbox.maximumBytes = table.size("max-bytes", in: bytes) ?? outbox.maximumBytes
        outbox.maximumStanzas = table.integer("max-stanzas", in: stanzas) ?? outbox.maximumStanzas
        outbox.journalsPresence = table.boolean("journal-presence") ?? outbox.journalsPresence
        outbox.foldsIDs = table.boolean("fold-ids") ?? outbox.foldsIDs
        outbox.urgentAddresses = urgentAddresses(table)
        let classes = table.table("class")
        lifetime(
            &outbox.messageLifetime, table, "message-lifetime", classes, "message", &outbox.message,
            in: .seconds(1) ... .hours(720))
        lifetime(
            &outbox.iqTimeout, table, "iq-timeout", classes, "iq", &outbox.request, in: .seconds(1) ... .hours(24))
        lifetime(
            &outbox.presenceLifetime, table, "presence-lifetime", classes, "presence", &outbox.presence,
            in: .seconds(1) ... .hours(24)
        ) { presence in
            outbox.supersedesPresence = presence.boolean("supersede") ?? outbox.supersedesPresence
        }
        if let urgent = classes?.table("urgent") {
            outbox.urgent.priority = priority(urgent) ?? outbox.urgent.priority
            urgent.finish()
        }
        classes?.finish()
        return outbox
    }

    static func inbox(_ table: TableReader?) -> InboxConfiguration {
        var inbox = InboxConfiguration()
        guard let table else { return inbox }
        inbox.maximumBytes = table.size("max-bytes", in: bytes) ?? inbox.maximumBytes
        inbox.maximumStanzas = table.integer("max-stanzas", in: stanzas) ?? inbox.maximumStanzas
        table.finish()
        return inbox
    }

    /// A lifetime has two names, one of its own and one as a property of its class.
    private static func lifetime(
        _ lifetime: inout TimeAmount, _ table: TableReader, _ key: String, _ classes: TableReader?, _ name: String,
        _ settings: inout OutboxConfiguration.Class, in range: ClosedRange<TimeAmount>,
        more: (TableReader) -> Void = { _ in }
    ) {
        let direct = table.duration(key, in: range)
        lifetime = direct ?? lifetime
        guard let own = classes?.table(name) else { return }
        settings.priority = priority(own) ?? settings.priority
        if let expires = own.duration("expires", in: range) {
            if table.has(key) {
                own.report("expires", "given beside \(key)", allowed: "one of them")
            }
            lifetime = expires
        }
        more(own)
        own.finish()
    }

    private static func priority(_ table: TableReader) -> UInt8? {
        table.integer("priority", in: 0...15).map { UInt8($0) }
    }

    private static func urgentAddresses(_ table: TableReader) -> [JID] {
        let allowed = "bare addresses such as \"watch@hq.example\""
        return (table.strings("urgent-addresses", allowed: allowed) ?? []).compactMap { text in
            guard let address = JID(text.value), address.resource == nil else {
                table.reader.report(
                    text.path, value: TOMLNode.string(text.value).shown, "not a bare address", allowed: allowed)
                return nil
            }
            return address
        }
    }
}

extension OutboxConfiguration {
    /// Takes on what a profile says.
    fileprivate mutating func take(_ profile: ProfileOutbox) {
        urgent.priority = profile.urgent.priority ?? urgent.priority
        message.priority = profile.message.priority ?? message.priority
        request.priority = profile.request.priority ?? request.priority
        presence.priority = profile.presence.priority ?? presence.priority
        messageLifetime = profile.message.expires ?? messageLifetime
        iqTimeout = profile.request.expires ?? iqTimeout
        presenceLifetime = profile.presence.expires ?? presenceLifetime
        supersedesPresence = profile.supersedesPresence ?? supersedesPresence
        foldsIDs = profile.foldsIDs ?? foldsIDs
    }
}
