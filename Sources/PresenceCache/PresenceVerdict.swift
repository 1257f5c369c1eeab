package import NIOCore
package import XMPP

/// What becomes of a presence stanza of a local user.
package enum LocalPresenceVerdict: Equatable, Sendable {
    /// It goes to the link.
    case cross
    /// The other side has it already; it goes nowhere.
    case repeated
    /// It is kept; ``PresenceAction/cross(_:)`` gives it, or a later one, when its time has come.
    case held(until: NIODeadline)
    /// A probe that the cache answers; the answers are in the actions, so many.
    case answered(Int)
}

/// What was learnt of a presence stanza of the peer. Whatever it is, the stanza is delivered.
package enum RemotePresenceVerdict: Equatable, Sendable {
    case nothing
    /// Somebody's availability, as one told it whom it was addressed to.
    case availability
    /// That a local user may see the contact.
    case authorised
    /// That he may not, or not any more.
    case deauthorised
}

package enum PresenceAction: Equatable, Sendable {
    /// For the link, as if the local server had just sent it.
    case cross(Stanza)
    /// For the local server. `age` is how many milliseconds ago it was true; nil: now.
    case deliver(Stanza, age: UInt64?)
}

/// Counted since the start.
package struct PresenceCounts: Equatable, Sendable {
    package var crossed: UInt64 = 0
    package var repeated: UInt64 = 0
    package var held: UInt64 = 0
    package var probesCrossed: UInt64 = 0
    package var probesAnswered: UInt64 = 0
    /// Pairs forgotten for want of room, or since they had too many resources.
    package var forgotten: UInt64 = 0
    /// Presences that were not remembered for want of room.
    package var unremembered: UInt64 = 0

    package init() {}
}
