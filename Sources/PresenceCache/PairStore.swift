/// The pairs and presences of one peer, in three arrays and a table of texts: no object for a pair or a presence.
///
/// Nothing depends on the order of a hash table: buckets are only asked, and what goes over all goes over the arrays.
struct PairStore: ~Copyable {
    private let limits: PresenceLimits
    private let hash: KeyedHash
    var texts: TextTable
    private(set) var pairs: [PresencePair] = []
    private(set) var entries: [PresenceEntry] = []
    private var freePair = PresencePair.none
    private var freeEntry = PresencePair.none
    private var buckets = [Int32](repeating: PresencePair.none, count: 1_024)
    private var hand = 0

    private(set) var pairCount = 0
    private(set) var entryCount = 0

    init(limits: PresenceLimits, key: (UInt64, UInt64)) {
        self.limits = limits
        // Numbers of pairs and texts have 31 bits and more; the limits stay below.
        hash = KeyedHash(key: (key.1, key.0))
        texts = TextTable(maximumBytes: min(limits.textBytes, 8 << 30), key: key)
    }

    // MARK: Pairs

    private func hash(_ parties: Parties) -> UInt32 {
        unsafe UInt32(truncatingIfNeeded: hash.of(parties.local, after: hash.of(parties.remote)))
    }

    func find(_ parties: Parties) -> Int32? {
        let hash = hash(parties)
        var index = buckets[Int(hash) & (buckets.count - 1)]
        while index >= 0 {
            let pair = pairs[Int(index)]
            if pair.hash == hash, unsafe texts.equals(pair.remote, parties.remote),
                unsafe texts.equals(pair.local, parties.local)
            {
                return index
            }
            index = pair.next
        }
        return nil
    }

    var hasRoomForPair: Bool { pairCount < limits.pairs }

    /// Adds a pair that is not there; nil where there is no room.
    mutating func add(_ parties: Parties) -> Int32? {
        guard hasRoomForPair, let remote = unsafe texts.hold(parties.remote) else { return nil }
        guard let local = unsafe texts.hold(parties.local) else {
            texts.release(remote)
            return nil
        }
        if pairCount >= buckets.count { growBuckets() }
        var pair = PresencePair()
        pair.remote = remote
        pair.local = local
        pair.hash = hash(parties)
        let bucket = Int(pair.hash) & (buckets.count - 1)
        pair.next = buckets[bucket]
        let index: Int32
        if freePair >= 0 {
            index = freePair
            freePair = pairs[Int(index)].next
            pairs[Int(index)] = pair
        } else {
            index = Int32(pairs.count)
            pairs.append(pair)
        }
        buckets[bucket] = index
        pairCount += 1
        return index
    }

    /// Removes a pair that has no entries.
    mutating func remove(pair index: Int32) {
        let pair = pairs[Int(index)]
        precondition(pair.firstEntry < 0, "the entries of a pair go first")
        let bucket = Int(pair.hash) & (buckets.count - 1)
        if buckets[bucket] == index {
            buckets[bucket] = pair.next
        } else {
            var other = buckets[bucket]
            while pairs[Int(other)].next != index { other = pairs[Int(other)].next }
            pairs[Int(other)].next = pair.next
        }
        texts.release(pair.remote)
        texts.release(pair.local)
        texts.release(pair.probeResource)
        pairs[Int(index)] = PresencePair()
        pairs[Int(index)].next = freePair
        freePair = index
        pairCount -= 1
    }

    subscript(pair index: Int32) -> PresencePair {
        get { pairs[Int(index)] }
        _modify { yield &pairs[Int(index)] }
    }

    subscript(entry index: Int32) -> PresenceEntry {
        get { entries[Int(index)] }
        _modify { yield &entries[Int(index)] }
    }

    /// Names the resource of the last probe that crossed; false where there is no room for it.
    mutating func setProbeResource(_ resource: UnsafeRawBufferPointer, of index: Int32) -> Bool {
        guard let id = unsafe texts.hold(resource) else { return false }
        texts.release(pairs[Int(index)].probeResource)
        pairs[Int(index)].probeResource = id
        return true
    }

    /// A pair that may be forgotten: not used lately, and nobody waits for anything of it.
    mutating func victim() -> Int32? {
        for _ in 0..<min(64, pairs.count) {
            hand = hand + 1 < pairs.count ? hand + 1 : 0
            let pair = pairs[hand]
            guard pair.remote != 0 else { continue }
            if pair.flags.contains(.referenced) {
                pairs[hand].flags.remove(.referenced)
            } else if !isBusy(pair) {
                return Int32(hand)
            }
        }
        return nil
    }

    private func isBusy(_ pair: PresencePair) -> Bool {
        var index = pair.firstEntry
        while index >= 0 {
            let entry = entries[Int(index)]
            if entry.flags.contains(.held) || entry.flags.contains(.owed) || entry.shown != .asItIs { return true }
            index = entry.next
        }
        return false
    }

    private mutating func growBuckets() {
        buckets = [Int32](repeating: PresencePair.none, count: buckets.count * 2)
        for index in pairs.indices where pairs[index].remote != 0 {
            let bucket = Int(pairs[index].hash) & (buckets.count - 1)
            pairs[index].next = buckets[bucket]
            buckets[bucket] = Int32(index)
        }
    }

    // MARK: Presences

    /// The presence between two resources in one direction.
    func findEntry(
        of pair: Int32, isInbound: Bool, remoteResource: UnsafeRawBufferPointer, localResource: UnsafeRawBufferPointer
    ) -> Int32? {
        var index = pairs[Int(pair)].firstEntry
        while index >= 0 {
            let entry = entries[Int(index)]
            if entry.flags.contains(.inbound) == isInbound, unsafe texts.equals(entry.remoteResource, remoteResource),
                unsafe texts.equals(entry.localResource, localResource)
            {
                return index
            }
            index = entry.next
        }
        return nil
    }

    /// Adds a presence to its pair; nil where there is no room.
    mutating func addEntry(
        to pair: Int32, isInbound: Bool, remoteResource: UnsafeRawBufferPointer, localResource: UnsafeRawBufferPointer,
        payload: UnsafeRawBufferPointer
    ) -> Int32? {
        guard entryCount < limits.entries else { return nil }
        guard let remote = unsafe texts.hold(remoteResource) else { return nil }
        guard let local = unsafe texts.hold(localResource) else {
            texts.release(remote)
            return nil
        }
        guard let payload = unsafe texts.hold(payload, isPayload: true) else {
            texts.release(remote)
            texts.release(local)
            return nil
        }
        var entry = PresenceEntry()
        entry.pair = pair
        entry.remoteResource = remote
        entry.localResource = local
        entry.payload = payload
        entry.flags = isInbound ? [.used, .inbound] : .used
        let index: Int32
        if freeEntry >= 0 {
            index = freeEntry
            freeEntry = entries[Int(index)].next
            entries[Int(index)] = entry
        } else {
            index = Int32(entries.count)
            entries.append(entry)
        }
        // What local users tell stands in front, since it is looked for most often. What they were told stands in the
        // order in which it was.
        var last = pairs[Int(pair)].firstEntry
        if last < 0 || !isInbound {
            entries[Int(index)].next = last
            pairs[Int(pair)].firstEntry = index
        } else {
            while entries[Int(last)].next >= 0 { last = entries[Int(last)].next }
            entries[Int(last)].next = index
        }
        pairs[Int(pair)].entryCount += 1
        entryCount += 1
        return index
    }

    mutating func removeEntry(_ index: Int32) {
        let entry = entries[Int(index)]
        let pair = Int(entry.pair)
        if pairs[pair].firstEntry == index {
            pairs[pair].firstEntry = entry.next
        } else {
            var other = pairs[pair].firstEntry
            while entries[Int(other)].next != index { other = entries[Int(other)].next }
            entries[Int(other)].next = entry.next
        }
        pairs[pair].entryCount -= 1
        texts.release(entry.remoteResource)
        texts.release(entry.localResource)
        texts.release(entry.payload)
        entries[Int(index)] = PresenceEntry()
        entries[Int(index)].next = freeEntry
        freeEntry = index
        entryCount -= 1
    }

    /// Gives a presence another payload; false where there is no room for it.
    mutating func setPayload(_ payload: UnsafeRawBufferPointer, of index: Int32) -> Bool {
        guard let id = unsafe texts.hold(payload, isPayload: true) else { return false }
        texts.release(entries[Int(index)].payload)
        entries[Int(index)].payload = id
        return true
    }
}
