package import NIOCore

/// `[outbox]`: classes of what waits for the link. What is `nil` is not said, and the peer's own configuration or the
/// bridge's default holds. The values have the ranges of ``OutboxClasses`` and ``OutboxLimits`` in target `Outbox`.
package struct ProfileOutbox: Equatable, Sendable {
    /// `class.NAME = { priority = 8, expires = "24h" }`.
    package struct Class: Equatable, Sendable {
        /// 0…15 as in STANAG 5066; greater leaves first.
        package var priority: UInt8?
        /// How long a stanza waits before it is given up. Never of the urgent class: answers and subscriptions do not expire.
        package var expires: TimeAmount?

        package init(priority: UInt8? = nil, expires: TimeAmount? = nil) {
            self.priority = priority
            self.expires = expires
        }

        mutating func replace(by nearer: Class) {
            priority = nearer.priority ?? priority
            expires = nearer.expires ?? expires
        }
    }

    package var urgent = Class()
    package var message = Class()
    /// `class.iq`.
    package var request = Class()
    package var presence = Class()
    /// `class.presence.supersede`: whether a newer availability replaces one that has not left.
    package var supersedesPresence: Bool?
    /// `fold-ids`: whether ids of this site's users cross as short tokens.
    package var foldsIDs: Bool?

    package init() {}

    mutating func replace(by nearer: ProfileOutbox) {
        urgent.replace(by: nearer.urgent)
        message.replace(by: nearer.message)
        request.replace(by: nearer.request)
        presence.replace(by: nearer.presence)
        supersedesPresence = nearer.supersedesPresence ?? supersedesPresence
        foldsIDs = nearer.foldsIDs ?? foldsIDs
    }
}

/// `[block]`: how stanzas become blocks. What is `nil` is not said.
package struct ProfileBlock: Equatable, Sendable {
    /// When a block is cut although more would fit.
    package enum Hold: Equatable, Sendable {
        /// When the link gives the turn.
        case turn
        /// At the earliest this long after the one before; up to 1h.
        case duration(TimeAmount)
        /// When so many bytes wait.
        case bytes(Int)
    }

    /// zlib level, 1…9.
    package var level: Int?
    package var hold: Hold?
    /// Bytes of a block on the link, 256 B…256 KiB.
    package var size: Int?
    /// Blocks are filled up to a multiple of so many bytes, 16 B…16 KiB; 0 is not at all.
    package var padTo: Int?

    package init() {}

    mutating func replace(by nearer: ProfileBlock) {
        level = nearer.level ?? level
        hold = nearer.hold ?? hold
        size = nearer.size ?? size
        padTo = nearer.padTo ?? padTo
    }
}
