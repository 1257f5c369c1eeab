import DequeModule
import HeapModule
package import NIOCore
import Outbox
package import XMPP

/// From the local server to the link.
extension PeerPresence {
    /// A presence stanza of a local user came.
    ///
    /// - Parameter isRoom: its recipient is a room or an occupant of one; such presence always crosses, and nothing is
    ///   kept.
    package mutating func localPresenceReceived(
        _ stanza: Stanza, isRoom: Bool = false, now: NIODeadline
    ) -> LocalPresenceVerdict {
        guard stanza.kind == .presence, !isRoom, let to = stanza.toPlace, let from = stanza.fromPlace else {
            return .cross
        }
        let verdict = unsafe stanza.withBytes { bytes in
            let parties = unsafe Parties(
                remote: UnsafeRawBufferPointer(rebasing: bytes[to.bare]),
                remoteResource: UnsafeRawBufferPointer(rebasing: bytes[to.resource]),
                local: UnsafeRawBufferPointer(rebasing: bytes[from.bare]),
                localResource: UnsafeRawBufferPointer(rebasing: bytes[from.resource]))
            return localPresence(stanza, parties, now)
        }
        switch verdict {
        case .cross: counts.crossed += 1
        case .repeated: counts.repeated += 1
        case .held: counts.held += 1
        case .answered: counts.probesAnswered += 1
        }
        return verdict
    }

    /// Available or unavailable presence that has been told, or waits, since before the process began. At the start, before
    /// anything else.
    package mutating func presenceRecovered(_ stanza: Stanza, isRoom: Bool = false, now: NIODeadline) {
        let interval = policy.minimumInterval
        policy.minimumInterval = .zero
        // An answer is one whose probe the run before has seen.
        let probed = stanza.isStampedBySender ? seenPair(of: stanza) : nil
        if let probed { store[pair: probed].flags.insert(.probed) }
        _ = localPresenceReceived(stanza, isRoom: isRoom, now: now)
        if let probed { store[pair: probed].flags.remove(.probed) }
        policy.minimumInterval = interval
        counts = PresenceCounts()
    }

    /// The pair of a local user's stanza, if he lets the contact see him.
    private func seenPair(of stanza: Stanza) -> Int32? {
        guard let to = stanza.toPlace, let from = stanza.fromPlace else { return nil }
        return unsafe stanza.withBytes { bytes in
            let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            let parties = unsafe Parties(
                remote: UnsafeRawBufferPointer(rebasing: bytes[to.bare]), remoteResource: nothing,
                local: UnsafeRawBufferPointer(rebasing: bytes[from.bare]), localResource: nothing)
            guard let pair = store.find(parties), store[pair: pair].flags.contains(.seen) else { return nil }
            return pair
        }
    }

    private mutating func localPresence(
        _ stanza: Stanza, _ parties: Parties, _ now: NIODeadline
    ) -> LocalPresenceVerdict {
        switch stanza.type {
        case .absent:
            return stanza.hasRoomPayload ? .cross : availability(stanza, parties, now)
        case .unavailable:
            unavailableLeft(parties)
            return .cross
        case .probe:
            return probe(parties, now)
        case .subscribe:
            return subscribe(stanza, parties, now)
        case .subscribed:
            guard let pair = pair(parties) else { return .cross }
            forgetTold(pair)
            change(pair, set: .seen)
            return .cross
        case .unsubscribe:
            guard let pair = store.find(parties) else { return .cross }
            forgetTold(pair)
            endSubscribe(pair)
            deauthorise(pair)
            return .cross
        case .unsubscribed, .error:
            guard let pair = store.find(parties) else { return .cross }
            if stanza.type == .unsubscribed { forgetTold(pair) }
            change(pair, clear: [.seen, .probed])
            return .cross
        case .chat, .groupchat, .headline, .normal, .get, .set, .result, .unknown:
            return .cross
        }
    }

    // MARK: Availability

    private mutating func availability(
        _ stanza: Stanza, _ parties: Parties, _ now: NIODeadline
    ) -> LocalPresenceVerdict {
        // Presence to a full address is directed (RFC 6121 §4.6), or an answer to a probe from there. That resource may
        // have come anew under the same name, and would not ask.
        guard unsafe parties.remoteResource.isEmpty else {
            answerToProbe(stanza, parties, now)
            return .cross
        }
        guard let pair = pair(parties) else {
            counts.unremembered += 1
            return .cross
        }
        store[pair: pair].flags.insert(.referenced)
        // The other bridge knows the answer to a probe by its stamp.
        let isAnswer = store[pair: pair].flags.contains(.probed) && stanza.isStampedBySender
        if isAnswer { change(pair, set: .seen) }
        scratch.removeAll(keepingCapacity: true)
        stanza.appendPayload(to: &scratch)
        let found = unsafe store.findEntry(
            of: pair, isInbound: false, remoteResource: parties.remoteResource, localResource: parties.localResource)
        guard let index = found else {
            let made = unsafe remember(
                pair, isInbound: false, remoteResource: parties.remoteResource, localResource: parties.localResource)
            guard let made else {
                counts.unremembered += 1
                return .cross
            }
            store[entry: made].time = tick(now)
            store[entry: made].streams = streams
            return .cross
        }
        store[entry: index].streams = streams
        let entry = store[entry: index]
        let isSame = unsafe scratch.withUnsafeBytes { unsafe store.texts.equals(entry.payload, $0) }
        // What the bridge itself asked for crosses only if it is news.
        let isRetold = entry.flags.contains(.retold) && !store[pair: pair].flags.contains(.asked)
        if entry.flags.contains(.owed) || isAnswer || isRetold { return crossed(index, now) }
        if isSame {
            dropHeld(index)
            let isSeen = store[pair: pair].flags.contains(.seen)
            guard isSeen || !hasPassed(policy.repeatUnprovenAfter, since: entry.time, now: now) else {
                return crossed(index, now)
            }
            return .repeated
        }
        if let until = heldUntil(entry, now), hold(index, until: until) { return .held(until: until) }
        return crossed(index, now)
    }

    /// The presence in `scratch` crosses now.
    private mutating func crossed(_ index: Int32, _ now: NIODeadline) -> LocalPresenceVerdict {
        dropHeld(index)
        let isKept =
            unsafe scratch.count <= limits.payloadBytes
            && scratch.withUnsafeBytes { unsafe store.setPayload($0, of: index) }
        guard isKept else {
            counts.unremembered += 1
            remove(index)
            return .cross
        }
        if store[entry: index].flags.contains(.owed) { owedCount -= 1 }
        store[entry: index].flags.subtract([.owed, .retold])
        store[entry: index].time = tick(now)
        return .cross
    }

    /// When the next presence of the resource may cross, on a whole second so that what one resource tells its many
    /// contacts leaves together; nil: now.
    private func heldUntil(_ entry: PresenceEntry, _ now: NIODeadline) -> NIODeadline? {
        guard policy.minimumInterval > .zero, !isStopping else { return nil }
        let due = Int64(entry.time) + Int64(Self.ticks(policy.minimumInterval))
        let until = start + .seconds((due + 9) / 10)
        return until > now ? until : nil
    }

    // MARK: Held presence

    /// Keeps the presence in `scratch`; false where there is no room.
    private mutating func hold(_ index: Int32, until: NIODeadline) -> Bool {
        let waiting = held[index]
        guard scratch.count <= limits.payloadBytes, waiting != nil || held.count < limits.held,
            let payload = unsafe scratch.withUnsafeBytes({ unsafe store.texts.hold($0, isPayload: true) })
        else { return false }
        if let waiting {
            store.texts.release(waiting.payload)
            held[index] = HeldPresence(payload: payload, serial: waiting.serial)
        } else {
            held[index] = HeldPresence(payload: payload, serial: nextSerial)
            heldTimes.insert(HeldTime(until: until, serial: nextSerial, entry: index))
            nextSerial += 1
            if heldTimes.count > 2 * held.count + 1_024 {
                heldTimes = Heap(heldTimes.unordered.filter { held[$0.entry]?.serial == $0.serial })
            }
            store[entry: index].flags.insert(.held)
        }
        return true
    }

    mutating func dropHeld(_ index: Int32) {
        guard store[entry: index].flags.contains(.held), let waiting = held.removeValue(forKey: index) else { return }
        store.texts.release(waiting.payload)
        store[entry: index].flags.remove(.held)
    }

    /// Lets held presence cross. It is what the other side knows from now on.
    mutating func releaseHeld(_ index: Int32, now: NIODeadline? = nil) {
        guard let waiting = held.removeValue(forKey: index) else { return }
        store.texts.release(store[entry: index].payload)
        store[entry: index].payload = waiting.payload
        // It makes good for an older one that is owed.
        if store[entry: index].flags.contains(.owed) { owedCount -= 1 }
        store[entry: index].flags.subtract([.held, .owed])
        if let now { store[entry: index].time = tick(now) }
        guard let stanza = stanza(store[entry: index]) else { return }
        counts.crossed += 1
        actions.append(.cross(stanza))
    }

    mutating func releaseDuePresence(_ now: NIODeadline) {
        while let first = heldTimes.min, first.until <= now || held[first.entry]?.serial != first.serial {
            heldTimes.removeMin()
            if held[first.entry]?.serial == first.serial { releaseHeld(first.entry, now: now) }
        }
    }

    /// The bridge stops: what waits for its time, probes too, and what is owed is to cross as soon as it can, since the next
    /// run knows nothing of it. What comes from here on waits for nothing.
    package mutating func shutdownRequested(now: NIODeadline) {
        isStopping = true
        // In the order in which it would have left: what a hash table holds has none.
        for waiting in heldTimes.unordered.sorted() where held[waiting.entry]?.serial == waiting.serial {
            releaseHeld(waiting.entry)
        }
        heldTimes = Heap()
        while let probe = heldProbes.popFirst() { releaseProbe(probe, now) }
        guard owedCount > 0 else { return }
        for index in store.entries.indices where store.entries[index].flags.contains(.owed) {
            giveOwed(Int32(truncatingIfNeeded: index), now)
        }
    }

    // MARK: What ends

    private mutating func unavailableLeft(_ parties: Parties) {
        guard let pair = store.find(parties) else { return }
        let isBare = unsafe parties.localResource.isEmpty
        // Servers answer to the address that probed.
        if isBare, store[pair: pair].flags.contains(.probed) {
            change(pair, set: .seen, clear: .probed)
        }
        guard unsafe parties.remoteResource.isEmpty else { return }
        // From the bare address, which a server alone uses, it ends all resources.
        var index = store[pair: pair].firstEntry
        while index >= 0 {
            let entry = store[entry: index]
            if !entry.flags.contains(.inbound),
                unsafe isBare || store.texts.equals(entry.localResource, parties.localResource)
            {
                remove(index)
            }
            index = entry.next
        }
    }

    /// The other side may not have any of it any more, or wants it anew.
    mutating func forgetTold(_ pair: Int32) { removeEntries(of: pair) { !$0.flags.contains(.inbound) } }

    /// The other side asks anew, so that the next presence crosses. What it was told stays in mind: if the local server
    /// breaks down before it answers, somebody must tell that it ended.
    mutating func retell(_ pair: Int32) {
        var index = store[pair: pair].firstEntry
        while index >= 0 {
            let entry = store[entry: index]
            if !entry.flags.contains(.inbound) {
                if entry.flags.contains(.held) { releaseHeld(index) }
                if store[entry: index].flags.contains(.owed) { owedCount -= 1 }
                store[entry: index].flags.remove(.owed)
                store[entry: index].flags.insert(.retold)
            }
            index = entry.next
        }
    }

    /// What looks like the local server's answer to a probe that came over the link says that the contact may see the
    /// user. The other bridge takes it as told to all of the contact's resources.
    private mutating func answerToProbe(_ stanza: Stanza, _ parties: Parties, _ now: NIODeadline) {
        guard let pair = store.find(parties), store[pair: pair].flags.contains(.probed), stanza.isStampedBySender else {
            return
        }
        change(pair, set: .seen)
        scratch.removeAll(keepingCapacity: true)
        stanza.appendPayload(to: &scratch)
        let all = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        let found = unsafe store.findEntry(
            of: pair, isInbound: false, remoteResource: all, localResource: parties.localResource)
        if let index = found {
            store[entry: index].streams = streams
            return
        }
        let made = unsafe remember(
            pair, isInbound: false, remoteResource: all, localResource: parties.localResource)
        guard let made else {
            counts.unremembered += 1
            return
        }
        store[entry: made].time = tick(now)
        store[entry: made].streams = streams
        store[entry: made].flags.insert(.retold)
    }

    // MARK: Subscriptions

    private mutating func subscribe(
        _ stanza: Stanza, _ parties: Parties, _ now: NIODeadline
    ) -> LocalPresenceVerdict {
        guard let pair = pair(parties) else { return .cross }
        forgetTold(pair)
        store[pair: pair].flags.insert(.referenced)
        scratch.removeAll(keepingCapacity: true)
        stanza.appendPayload(to: &scratch)
        if store[pair: pair].flags.contains(.subscribing), let pending = subscribes[pair],
            unsafe scratch.withUnsafeBytes({ unsafe store.texts.equals(pending.payload, $0) }),
            !hasPassed(policy.repeatSubscribeAfter, since: pending.at, now: now)
        {
            return .repeated
        }
        endSubscribe(pair)
        guard scratch.count <= limits.payloadBytes,
            let payload = unsafe scratch.withUnsafeBytes({ unsafe store.texts.hold($0, isPayload: true) })
        else { return .cross }
        subscribes[pair] = PendingSubscribe(payload: payload, at: tick(now))
        change(pair, set: .subscribing)
        noteChange(pair)
        return .cross
    }

    mutating func endSubscribe(_ pair: Int32) {
        if let pending = subscribes.removeValue(forKey: pair) { store.texts.release(pending.payload) }
        change(pair, clear: .subscribing)
    }

    // MARK: What did not cross

    /// A stanza that was to cross did not: it expired, or was refused. What the other side was to know is owed to it,
    /// and given when the link is there.
    package mutating func presenceNotCrossed(_ stanza: Stanza, now: NIODeadline) {
        guard stanza.kind == .presence, let to = stanza.toPlace, let from = stanza.fromPlace else { return }
        unsafe stanza.withBytes { bytes in
            let parties = unsafe Parties(
                remote: UnsafeRawBufferPointer(rebasing: bytes[to.bare]),
                remoteResource: UnsafeRawBufferPointer(rebasing: bytes[to.resource]),
                local: UnsafeRawBufferPointer(rebasing: bytes[from.bare]),
                localResource: UnsafeRawBufferPointer(rebasing: bytes[from.resource]))
            guard let pair = store.find(parties) else { return }
            switch stanza.type {
            case .probe: store[pair: pair].flags.remove(.probing)
            case .subscribe: endSubscribe(pair)
            case .absent where !stanza.hasRoomPayload: owe(stanza, pair, parties, now)
            case .absent, .unavailable, .subscribed, .unsubscribe, .unsubscribed, .error, .chat, .groupchat, .headline,
                .normal, .get, .set, .result, .unknown:
                break
            }
        }
    }

    private mutating func owe(_ stanza: Stanza, _ pair: Int32, _ parties: Parties, _ now: NIODeadline) {
        // Also an answer to a probe from a full address is kept as told to all.
        let all = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        let isAnswer = unsafe !parties.remoteResource.isEmpty
        guard !isAnswer || stanza.isStampedBySender && store[pair: pair].flags.contains(.seen) else { return }
        let found = unsafe store.findEntry(
            of: pair, isInbound: false, remoteResource: all, localResource: parties.localResource)
        guard let index = found, !store[entry: index].flags.contains(.owed) else { return }
        scratch.removeAll(keepingCapacity: true)
        stanza.appendPayload(to: &scratch)
        let payload = store[entry: index].payload
        guard unsafe scratch.withUnsafeBytes({ unsafe store.texts.equals(payload, $0) }) else { return }
        // Where a newer one waits for its time that makes good for it, unless it is taken back.
        store[entry: index].flags.insert(.owed)
        owedCount += 1
        if isLinkUp { owedAt = owedAt ?? now + .minutes(1) }
    }
}
