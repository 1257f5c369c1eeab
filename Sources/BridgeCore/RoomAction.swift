package import XMPP

/// What becomes of a stanza that passes between a room and an occupant.
package enum RoomVerdict: Equatable, Sendable {
    case pass
    /// It goes no further; it is dealt with.
    case swallow
    /// It waits here and comes back as ``RoomAction/release(_:id:)``.
    case hold
}

/// What ``RoomMemberships`` wants done, after the stanza that was just judged.
package enum RoomAction: Equatable, Sendable {
    /// Give to the local server: a ping, join or leave in an occupant's name.
    case deliver(Stanza)
    /// Give to the local server what was held: a stanza of the occupant with its id in the inbox.
    case release(Stanza, id: UInt64?)
    /// Send over the link to the occupant.
    case send(Stanza)
}

/// What has happened to memberships, ever.
package struct RoomCounts: Equatable, Sendable {
    /// Technical kicks and the like that the occupants never saw.
    package var kicksRepaired: UInt64 = 0
    /// Joins that were sent in an occupant's name.
    package var rejoins: UInt64 = 0
    /// Occupants who were told that they left, because they could not be brought back.
    package var told: UInt64 = 0
    /// Replayed messages that the occupant had had.
    package var replaysSwallowed: UInt64 = 0
    /// Joins that were not remembered because too many are.
    package var notRemembered: UInt64 = 0
}

/// How much is remembered of memberships.
package struct RoomLimits: Equatable, Sendable {
    /// Joins remembered per peer.
    package var joins = 4_096
    /// Bytes of join presences, nicks and held stanzas per peer.
    package var bytes = 16 << 20
    /// A join presence that is larger is kept without what others see of him.
    package var joinBytes = 4_096
    /// Occupants remembered per membership.
    package var nicks = 1_024
    /// Stanzas held per membership.
    package var held = 64

    package init() {}
}
