package import NIOCore

/// What a peer's ``LocalAnswers`` keep, and how often they were of use since the start.
package struct LocalAnswerStatus: Equatable, Sendable {
    /// Verified results of `disco#info`.
    package internal(set) var discoResults = 0
    package internal(set) var discoBytes = 0
    /// Pairs of a local user and a contact or room of whom he was told abilities.
    package internal(set) var contacts = 0
    package internal(set) var vCards = 0
    package internal(set) var vCardBytes = 0
    /// When the oldest vCard crossed.
    package internal(set) var oldestVCard: NIODeadline?
    /// Local users in rooms of the peer.
    package internal(set) var roomPlaces = 0

    package internal(set) var discoAnswers: UInt64 = 0
    package internal(set) var vCardAnswers: UInt64 = 0
    package internal(set) var roomPingAnswers: UInt64 = 0
    /// Results that were not believed: their hash is not what was announced or asked for, or cannot be computed without
    /// doubt.
    package internal(set) var unverified: UInt64 = 0

    package init() {}
}

/// Bounds of what is kept of one peer.
package struct LocalAnswerLimits: Equatable, Sendable {
    /// Verified results of `disco#info`; on a fleet of equal clients a handful.
    package var discoResults = 512
    package var discoBytes = 1 << 20
    /// Resources of contacts and occupants of rooms, each for one local user.
    package var contactResources = 8_192
    /// Of one contact or room for one local user.
    package var resourcesPerContact = 256
    package var vCards = 4_096
    /// Canonical bytes of an answer; a larger one is not kept.
    package var vCardBytes = 16_384
    package var allVCardBytes = 4 << 20
    /// Owners whose announced photo is remembered.
    package var photos = 4_096
    /// Local users in rooms, each room counted.
    package var roomPlaces = 8_192

    package init() {}
}
