import DequeModule
import HeapModule
package import NIOCore
package import Outbox
import XMPP

/// The presence between the users of this site and those of one peer: who was told what, who may know what, and what
/// need therefore not cross the link.
///
/// Three rules keep it honest:
///
/// 1. *A local user learns from the cache nothing that was not addressed to him.* Presence is kept per pair of bare
///    addresses; an answer to a probe repeats what the contact's server told this very user. Two users who watch the
///    same contact share the bytes, never the knowledge.
/// 2. *Knowing is proved, not supposed.* A probe is answered only when the contact is known to let this user see him,
///    and all his resources are known: by `subscribed` in answer to a `subscribe` that crossed, and the presence that
///    follows it; or by the answer of his server to a probe of this user that crossed (`delay` of the contact or his
///    domain on available presence, or `unavailable` from his bare address, which no client can send). Presence alone
///    proves nothing: a stranger's directed presence looks like a friend's. `unsubscribed`, an error, and the user's
///    own `unsubscribe` take it away.
/// 3. *What is forgotten crosses.* For want of room, after a restart, after the other bridge's restart, after a day:
///    the probe goes over the link, and the presence too.
///
/// Of rooms nothing is kept: the caller says what is a room, and presence with a payload of rooms is passed by. A pure
/// value: time comes in, stanzas and journal records go out. Sources: RFC 6121 §3 and §4, XEP-0115 §8.4.
package struct PeerPresence: ~Copyable {
    package var policy: PresencePolicy
    let limits: PresenceLimits
    let isJournaled: Bool
    let start: NIODeadline

    var store: PairStore
    var writer = PresenceWriter()
    let reader = StanzaReader()
    /// The payload of the stanza that is looked at.
    var scratch: [UInt8] = []
    /// The payload of the stanza that is made.
    private var written: [UInt8] = []
    var actions: Deque<PresenceAction> = []
    package var counts = PresenceCounts()

    /// Presence that waits for its time, by its entry.
    var held: [Int32: HeldPresence] = [:]
    var heldTimes = Heap<HeldTime>()
    var nextSerial: UInt64 = 1
    var heldProbes: Deque<HeldProbe> = []
    /// When as many probes will have been due as have crossed.
    var probesPaidAt: NIODeadline
    /// The bridge stops: nothing waits for its time any more.
    var isStopping = false
    /// What local users asked for, by pair.
    var subscribes: [Int32: PendingSubscribe] = [:]

    package internal(set) var isLinkUp = true
    var linkLostAt: NIODeadline?
    /// What the peer's users shall be shown as.
    var shown = ShownPresence.asItIs
    /// When that becomes what they are.
    var restoreAt: NIODeadline?
    var isServerUp = true
    /// How often the stream to the local server was lost.
    var streams: UInt16 = 0
    /// How often the peer's bridge forgot what it knew.
    var run: UInt16 = 0
    var askAt: NIODeadline?
    /// When a server that was lost is to be asked for somebody, and which entry is looked at first.
    var knockAt: NIODeadline?
    var knockPlace = 0
    var concludeAt: NIODeadline?

    var sweeps: Deque<Sweep> = []
    var sweepPlace = 0
    var sweepAt: NIODeadline?
    var owedCount = 0
    /// When what expired on a link that is up is given to it again.
    var owedAt: NIODeadline?

    var nextRow: UInt32 = 1
    var changedPairs: [Int32] = []
    var removedRows: [UInt64] = []

    struct HeldPresence {
        var payload: TextTable.ID
        var serial: UInt64
    }

    struct HeldTime: Comparable {
        var until: NIODeadline
        var serial: UInt64
        var entry: Int32

        static func < (left: HeldTime, right: HeldTime) -> Bool {
            left.until != right.until ? left.until < right.until : left.serial < right.serial
        }
    }

    struct HeldProbe {
        var remote: TextTable.ID
        var local: TextTable.ID
        var localResource: TextTable.ID
    }

    struct PendingSubscribe {
        var payload: TextTable.ID
        var at: UInt32
    }

    /// - Parameters:
    ///   - key: two random numbers: nobody else can make the hashes collide.
    ///   - recovered: the rows of the table `presence`.
    package init(
        policy: PresencePolicy = PresencePolicy(), limits: PresenceLimits = PresenceLimits(), key: (UInt64, UInt64),
        recovered: [RecoveredPeer.Row] = [], isJournaled: Bool = false, now: NIODeadline
    ) {
        self.policy = policy
        self.limits = limits
        self.isJournaled = isJournaled
        start = now
        probesPaidAt = now
        store = PairStore(limits: limits, key: key)
        recover(recovered)
    }

    package var hasActions: Bool { !actions.isEmpty }

    package mutating func nextAction() -> PresenceAction? { actions.popFirst() }

    package var pairCount: Int { store.pairCount }
    /// Presences that are kept, of all resources in both directions.
    package var entryCount: Int { store.entryCount }
    /// Bytes of addresses and payloads that are kept.
    package var textByteCount: Int { store.texts.byteCount }
    /// Numbers only.
    package var debugState: String {
        "pairs \(pairCount), presences \(entryCount), held \(held.count)+\(heldProbes.count), owed \(owedCount), "
            + "link \(isLinkUp ? "up" : "down"), shown \(shown)"
    }

    // MARK: Time

    /// Tenths of a second since the start.
    func tick(_ now: NIODeadline) -> UInt32 {
        UInt32(clamping: max(0, (now - start).nanoseconds) / 100_000_000)
    }

    static func ticks(_ amount: TimeAmount) -> UInt32 { UInt32(clamping: max(0, amount.nanoseconds) / 100_000_000) }

    /// Whether so much time passed since a tick.
    func hasPassed(_ amount: TimeAmount, since tick: UInt32, now: NIODeadline) -> Bool {
        self.tick(now) &- tick >= Self.ticks(amount)
    }

    func age(of entry: PresenceEntry, now: NIODeadline) -> UInt64 { UInt64(tick(now) &- entry.time) * 100 }

    // MARK: Pairs

    /// The pair, made and given room if need be; nil where it cannot be remembered.
    mutating func pair(_ parties: Parties) -> Int32? {
        if let found = store.find(parties) { return found }
        if !store.hasRoomForPair, !forgetSomeone() { return nil }
        if let made = store.add(parties) { return made }
        return forgetSomeone() ? store.add(parties) : nil
    }

    /// Makes room; false when everything there is in use.
    mutating func forgetSomeone() -> Bool {
        guard let victim = store.victim() else { return false }
        forget(victim)
        return true
    }

    /// Forgets all about a pair, as if it had never been met.
    mutating func forget(_ pair: Int32) {
        counts.forgotten += 1
        removeEntries(of: pair)
        if let subscribe = subscribes.removeValue(forKey: pair) { store.texts.release(subscribe.payload) }
        if store[pair: pair].row != 0 { removedRows.append(UInt64(store[pair: pair].row)) }
        store.remove(pair: pair)
    }

    /// Removes presences of a pair; those of local users that wait for their time are let go first.
    mutating func removeEntries(of pair: Int32, where matches: (PresenceEntry) -> Bool = { _ in true }) {
        var index = store[pair: pair].firstEntry
        while index >= 0 {
            let entry = store[entry: index]
            if matches(entry) {
                if entry.flags.contains(.held) { releaseHeld(index) }
                remove(index)
            }
            index = entry.next
        }
    }

    mutating func remove(_ index: Int32) {
        if store[entry: index].flags.contains(.owed) { owedCount -= 1 }
        dropHeld(index)
        store.removeEntry(index)
    }

    /// Changes what is durable of a pair.
    mutating func change(_ pair: Int32, set: PresencePair.Flags = [], clear: PresencePair.Flags = []) {
        let before = store[pair: pair].flags
        let after = before.union(set).subtracting(clear)
        store[pair: pair].flags = after
        guard isJournaled, before.intersection(.durable) != after.intersection(.durable) else { return }
        noteChange(pair)
    }

    mutating func noteChange(_ pair: Int32) {
        guard isJournaled, !store[pair: pair].flags.contains(.changed) else { return }
        store[pair: pair].flags.insert(.changed)
        changedPairs.append(pair)
    }

    // MARK: Stanzas

    /// Adds a presence to its pair, or the pair is forgotten, since what is incomplete must not answer.
    mutating func remember(
        _ pair: Int32, isInbound: Bool, remoteResource: UnsafeRawBufferPointer, localResource: UnsafeRawBufferPointer
    ) -> Int32? {
        if Int(store[pair: pair].entryCount) >= limits.entriesPerPair {
            makeUnknown(pair)
            removeEntries(of: pair)
            counts.forgotten += 1
            return nil
        }
        guard scratch.count <= limits.payloadBytes else { return nil }
        for _ in 0..<2 {
            let added = unsafe scratch.withUnsafeBytes { payload in
                unsafe store.addEntry(
                    to: pair, isInbound: isInbound, remoteResource: remoteResource, localResource: localResource,
                    payload: payload)
            }
            if let added { return added }
            // Not this one.
            store[pair: pair].flags.insert(.referenced)
            guard let victim = store.victim(), victim != pair else { return nil }
            forget(victim)
        }
        return nil
    }

    mutating func makeUnknown(_ pair: Int32) { store[pair: pair].flags.subtract([.known, .probing, .following]) }

    /// The stanza of an entry, in the direction in which it went.
    mutating func stanza(
        _ entry: PresenceEntry, type: StanzaType = .absent, payload: TextTable.ID? = nil,
        localResource: TextTable.ID? = nil
    ) -> Stanza? {
        let pair = store[pair: entry.pair]
        let isInbound = entry.flags.contains(.inbound)
        let remote = unsafe PresenceWriter.Address(
            bare: store.texts.bytes(pair.remote), resource: store.texts.bytes(entry.remoteResource))
        let local = unsafe PresenceWriter.Address(
            bare: store.texts.bytes(pair.local), resource: store.texts.bytes(localResource ?? entry.localResource))
        let (to, from) = isInbound ? (local, remote) : (remote, local)
        guard type == .absent else { return unsafe writer.make(to: to, from: from, type: type, payload: nil) }
        written.removeAll(keepingCapacity: true)
        store.texts.append(payload ?? entry.payload, to: &written)
        let bytes = written
        return unsafe bytes.withUnsafeBytes { unsafe writer.make(to: to, from: from, type: type, payload: $0) }
    }

    /// A stanza between the bare addresses of a pair, or to or from a local resource.
    mutating func stanza(
        _ type: StanzaType, of pair: PresencePair, isInbound: Bool, localResource: TextTable.ID = 0
    ) -> Stanza? {
        let remote = unsafe PresenceWriter.Address(
            bare: store.texts.bytes(pair.remote), resource: store.texts.bytes(0))
        let local = unsafe PresenceWriter.Address(
            bare: store.texts.bytes(pair.local), resource: store.texts.bytes(localResource))
        return unsafe writer.make(
            to: isInbound ? local : remote, from: isInbound ? remote : local, type: type, payload: nil)
    }
}
