package import NIOCore
package import XMPP

/// `[peer.outbox]`: what waits for the link.
package struct OutboxConfiguration: Equatable, Sendable {
    /// `class.NAME = { priority = 8, expires = "24h" }`, NAME one of `urgent`, `message`, `iq`, `presence`.
    package struct Class: Equatable, Sendable {
        /// `priority`, 0…15: greater leaves first, as far as the order of a pair allows. Defaults: urgent 12, message 8,
        /// iq 6, presence 2.
        package var priority: UInt8

        package init(priority: UInt8) {
            self.priority = priority
        }
    }

    /// `max-bytes`, 64 KiB…4 GiB. Default 64 MiB. When it is full, senders get `resource-constraint`.
    package var maximumBytes = 64 << 20
    /// `max-stanzas`, 16…10000000. Default 100000.
    package var maximumStanzas = 100_000
    /// `message-lifetime` or `class.message.expires`, 1s…30d. Default 24h. An expired message goes back to its sender as an
    /// error.
    package var messageLifetime = TimeAmount.hours(24)
    /// `iq-timeout` or `class.iq.expires`, 1s…24h. Default 5m. A request without an answer is answered with an error.
    package var iqTimeout = TimeAmount.minutes(5)
    /// `presence-lifetime` or `class.presence.expires`, 1s…24h. Default 30m. Expired available presence goes silently.
    package var presenceLifetime = TimeAmount.minutes(30)

    package var urgent = Class(priority: 12)
    package var message = Class(priority: 8)
    package var request = Class(priority: 6)
    package var presence = Class(priority: 2)
    /// `class.presence.supersede`: whether a newer availability of the same pair of full addresses replaces one that has
    /// not left. Default true.
    package var supersedesPresence = true
    /// `urgent-addresses`: bare addresses, of either side, whose messages are in the class `urgent`. Default: none.
    package var urgentAddresses: [JID] = []
    /// `journal-presence`: whether plain availability is made durable as well. Default false: after a crash it is stale,
    /// and servers send it anew.
    package var journalsPresence = false
    /// `fold-ids`: whether ids of this site's users cross as short tokens (docs/id-folding.md). Default: what the profile says,
    /// or false.
    package var foldsIDs = false

    package init() {}
}

/// `[peer.inbox]`: what waits for the local server, in dialect `skywave` with a journal.
package struct InboxConfiguration: Equatable, Sendable {
    /// `max-bytes`, 64 KiB…4 GiB. Default 64 MiB. When it is full, the link is not read.
    package var maximumBytes = 64 << 20
    /// `max-stanzas`, 16…10000000. Default 100000.
    package var maximumStanzas = 100_000

    package init() {}
}
