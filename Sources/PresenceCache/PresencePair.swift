/// A local and a remote user, by their bare addresses, and what is known between them.
struct PresencePair {
    struct Flags: OptionSet {
        let rawValue: UInt16
        /// The contact lets the local user see his presence. Durable.
        static let authorised = Flags(rawValue: 1)
        /// All his available resources, as the local user has been told, are in the entries.
        static let known = Flags(rawValue: 1 << 1)
        /// The local user lets the contact see his presence. Durable.
        static let seen = Flags(rawValue: 1 << 2)
        /// A probe of the local user crossed and nothing proved an answer yet.
        static let probing = Flags(rawValue: 1 << 3)
        /// The contact's server probed the local user and has no answer yet.
        static let probed = Flags(rawValue: 1 << 4)
        /// A `subscribe` of the local user is unanswered. Durable.
        static let subscribing = Flags(rawValue: 1 << 5)
        /// Used since the last look for something to forget.
        static let referenced = Flags(rawValue: 1 << 6)
        /// The journal's row is to be written.
        static let changed = Flags(rawValue: 1 << 7)
        /// Authorised by `subscribed`, after which the contact's server tells of all his resources.
        static let following = Flags(rawValue: 1 << 9)
        /// The local server was asked for the user in the contact's name.
        static let asked = Flags(rawValue: 1 << 8)
        static let durable: Flags = [.authorised, .seen, .subscribing]
    }

    var remote: TextTable.ID = 0
    var local: TextTable.ID = 0
    var hash: UInt32 = 0
    /// The next pair of the bucket, or the next free place.
    var next = Self.none
    var firstEntry = Self.none
    var flags: Flags = []
    var entryCount: UInt16 = 0
    /// What made ``Flags/known`` true is of this time and this run of the peer's bridge.
    var knownAt: UInt32 = 0
    var knownRun: UInt16 = 0
    /// The last probe that crossed: when, and from which resource.
    var probeAt: UInt32 = 0
    var probeResource: TextTable.ID = 0
    /// The id of the journal's row; 0: there is none.
    var row: UInt32 = 0

    static let none: Int32 = -1
}

/// One presence that one user told another.
struct PresenceEntry {
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// Of the contact to the local user; else the other way round.
        static let inbound = Flags(rawValue: 1)
        /// Not proved to be what the contact's server tells all who may see him: no answer to a probe.
        static let directed = Flags(rawValue: 1 << 1)
        /// It did not reach the other side, and is owed to it.
        static let owed = Flags(rawValue: 1 << 2)
        /// A newer one waits for its time.
        static let held = Flags(rawValue: 1 << 3)
        static let used = Flags(rawValue: 1 << 4)
        /// The other side has probed since, and perhaps only one resource was answered: what comes next crosses.
        static let retold = Flags(rawValue: 1 << 5)
    }

    /// The next entry of the pair, or the next free place.
    var next = PresencePair.none
    var pair = PresencePair.none
    var remoteResource: TextTable.ID = 0
    var localResource: TextTable.ID = 0
    var payload: TextTable.ID = 0
    /// When it was told.
    var time: UInt32 = 0
    /// The count of lost local streams when it was heard of last.
    var streams: UInt16 = 0
    var flags: Flags = []
    /// As what the local user was told it.
    var shown = ShownPresence.asItIs
}

/// How local users see the presence of the peer's users.
enum ShownPresence: UInt8 {
    case asItIs, marked, unavailable
}

/// The addresses of a presence stanza by side, as its bytes hold them, for the length of one call.
@safe struct Parties {
    let remote: UnsafeRawBufferPointer
    let remoteResource: UnsafeRawBufferPointer
    let local: UnsafeRawBufferPointer
    let localResource: UnsafeRawBufferPointer
}
