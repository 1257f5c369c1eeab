package import NIOCore
import Outbox
package import XMPP

/// From the link to the local server.
extension PeerPresence {
    /// A presence stanza of one of the peer's users came; it is delivered whatever is learnt of it.
    ///
    /// It must be as it crossed: a bridge that adds a `delay` of its own does so afterwards, for that stamp would be
    /// taken for the mark of an answer to a probe.
    ///
    /// - Parameter isRoom: its sender is a room or an occupant of one; nothing is kept.
    package mutating func remotePresenceReceived(
        _ stanza: Stanza, isRoom: Bool = false, now: NIODeadline
    ) -> RemotePresenceVerdict {
        guard stanza.kind == .presence, !isRoom, let to = stanza.toPlace, let from = stanza.fromPlace else {
            return .nothing
        }
        return unsafe stanza.withBytes { bytes in
            let parties = unsafe Parties(
                remote: UnsafeRawBufferPointer(rebasing: bytes[from.bare]),
                remoteResource: UnsafeRawBufferPointer(rebasing: bytes[from.resource]),
                local: UnsafeRawBufferPointer(rebasing: bytes[to.bare]),
                localResource: UnsafeRawBufferPointer(rebasing: bytes[to.resource]))
            return remotePresence(stanza, parties, now)
        }
    }

    private mutating func remotePresence(
        _ stanza: Stanza, _ parties: Parties, _ now: NIODeadline
    ) -> RemotePresenceVerdict {
        switch stanza.type {
        case .absent:
            return stanza.hasRoomPayload ? .nothing : available(stanza, parties, now)
        case .unavailable:
            guard let pair = store.find(parties) else { return .nothing }
            return unavailable(pair, parties, now)
        case .probe:
            // The far bridge has no answer, so what it was told it knows no more.
            guard let pair = pair(parties) else { return .nothing }
            retell(pair)
            store[pair: pair].flags.insert(.probed)
            return .nothing
        case .subscribe:
            if let pair = store.find(parties) { forgetTold(pair) }
            return .nothing
        case .subscribed:
            guard let pair = store.find(parties) else { return .nothing }
            forgetTold(pair)
            // Unasked it means nothing, to servers neither (RFC 6121 §3.1.6): so nobody can make a user see what the
            // contact's server would never take back.
            guard store[pair: pair].flags.contains(.subscribing) else { return .nothing }
            endSubscribe(pair)
            markDirected(pair)
            makeUnknown(pair)
            change(pair, set: [.authorised, .following])
            return .authorised
        case .unsubscribed, .error:
            guard let pair = store.find(parties) else { return .nothing }
            forgetTold(pair)
            endSubscribe(pair)
            deauthorise(pair)
            return .deauthorised
        case .unsubscribe:
            guard let pair = store.find(parties) else { return .nothing }
            forgetTold(pair)
            change(pair, clear: [.seen, .probed])
            return .nothing
        case .chat, .groupchat, .headline, .normal, .get, .set, .result, .unknown:
            return .nothing
        }
    }

    /// The user may not see the contact any more. What he was told stays for the sake of whoever must tell him that it
    /// ended. Where he was told so already, since the link is down, it must not come back when that returns.
    mutating func deauthorise(_ pair: Int32) {
        removeEntries(of: pair) { $0.flags.contains(.inbound) && $0.shown == .unavailable }
        markDirected(pair)
        makeUnknown(pair)
        change(pair, clear: .authorised)
    }

    private mutating func markDirected(_ pair: Int32) {
        var index = store[pair: pair].firstEntry
        while index >= 0 {
            if store[entry: index].flags.contains(.inbound) { store[entry: index].flags.insert(.directed) }
            index = store[entry: index].next
        }
    }

    private mutating func available(
        _ stanza: Stanza, _ parties: Parties, _ now: NIODeadline
    ) -> RemotePresenceVerdict {
        guard let pair = pair(parties) else {
            counts.unremembered += 1
            return .nothing
        }
        let isToBare = unsafe parties.localResource.isEmpty
        let isToProber = unsafe store.texts.equals(store[pair: pair].probeResource, parties.localResource)
        let isProof =
            isToProber && (stanza.isStampedBySender || policy.probeProof == .addressed && !isToBare)
        var flags = store[pair: pair].flags
        var verdict = RemotePresenceVerdict.availability
        if isProof, flags.contains(.probing) {
            if !flags.contains(.authorised) { verdict = .authorised }
            change(pair, set: .authorised, clear: .probing)
            // The server tells of every resource now; one that it does not tell of ended unheard.
            markDirected(pair)
            become(known: pair, now)
        }
        flags = store[pair: pair].flags
        let isAuthorised = flags.contains(.authorised)
        // Answers to a prober's full address are for all: they say what his bare address would have been told.
        let isAnswer =
            isProof && flags.contains(.known)
            && !hasPassed(policy.settleTime, since: store[pair: pair].knownAt, now: now)
        let isTold = isAuthorised && (isToBare || isAnswer)
        if isAuthorised { store[pair: pair].flags.insert(.referenced) }
        scratch.removeAll(keepingCapacity: true)
        stanza.appendPayload(to: &scratch)
        let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        let localResource = unsafe isTold ? empty : parties.localResource
        let found = unsafe store.findEntry(
            of: pair, isInbound: true, remoteResource: parties.remoteResource, localResource: localResource)
        var kept = found
        if let index = found {
            let isKept =
                unsafe scratch.count <= limits.payloadBytes
                && scratch.withUnsafeBytes { unsafe store.setPayload($0, of: index) }
            if !isKept {
                remove(index)
                kept = nil
            }
        } else {
            // Who comes anew has not what he was told before, unless his server asks for it.
            if !flags.contains(.seen) { forgetTold(pair) }
            kept = unsafe remember(
                pair, isInbound: true, remoteResource: parties.remoteResource, localResource: localResource)
        }
        guard let index = kept else {
            // Without this one the rest is no answer.
            counts.unremembered += 1
            makeUnknown(pair)
            return verdict
        }
        store[entry: index].time = tick(now)
        store[entry: index].shown = .asItIs
        if isTold {
            store[entry: index].flags.remove(.directed)
            // After `subscribed` the server tells of all resources (RFC 6121 §3.1.6).
            if flags.contains(.following) { become(known: pair, now) }
        } else {
            store[entry: index].flags.insert(.directed)
        }
        if shown != .asItIs, !isLinkUp { schedule(.show, at: now) }
        return verdict
    }

    private mutating func become(known pair: Int32, _ now: NIODeadline) {
        store[pair: pair].flags.insert(.known)
        store[pair: pair].flags.remove(.following)
        store[pair: pair].knownAt = tick(now)
        store[pair: pair].knownRun = run
    }

    private mutating func unavailable(_ pair: Int32, _ parties: Parties, _ now: NIODeadline) -> RemotePresenceVerdict {
        let isBare = unsafe parties.remoteResource.isEmpty
        let isToBare = unsafe parties.localResource.isEmpty
        var index = store[pair: pair].firstEntry
        while index >= 0 {
            let entry = store[entry: index]
            if entry.flags.contains(.inbound),
                unsafe isBare || store.texts.equals(entry.remoteResource, parties.remoteResource),
                unsafe isToBare || store.texts.equals(entry.localResource, parties.localResource)
                    || isBare && entry.localResource == 0
            {
                remove(index)
            }
            index = entry.next
        }
        guard isBare else { return .availability }
        // Only a server speaks for a bare address, and only to those who may see its user.
        let isAnswer = store[pair: pair].flags.contains(.probing)
        guard isAnswer || store[pair: pair].flags.contains(.authorised) else { return .availability }
        let isNew = !store[pair: pair].flags.contains(.authorised)
        change(pair, set: .authorised, clear: .probing)
        become(known: pair, now)
        // All of it is known at once: there is no resource whose presence might follow.
        store[pair: pair].knownAt = tick(now) &- Self.ticks(policy.settleTime)
        return isNew ? .authorised : .availability
    }
}
