import DequeModule
import NIOCore
import Outbox
import XMPP

/// Probes of local users.
extension PeerPresence {
    /// Answers a probe, lets it cross, or keeps it for its turn.
    mutating func probe(_ parties: Parties, _ now: NIODeadline) -> LocalPresenceVerdict {
        // Of one resource alone, or of what is no user: not ours to answer.
        guard unsafe parties.remoteResource.isEmpty, let pair = pair(parties) else {
            counts.probesCrossed += 1
            return .cross
        }
        store[pair: pair].flags.insert(.referenced)
        if mayAnswer(pair, now) {
            let resource = unsafe store.texts.hold(parties.localResource)
            guard let resource else {
                counts.probesCrossed += 1
                return .cross
            }
            defer { store.texts.release(resource) }
            return .answered(answer(pair, resource, now))
        }
        if unsafe isUnanswered(pair, parties.localResource, now) { return .repeated }
        if let until = probeHeldUntil(now), heldProbes.count < limits.held {
            return unsafe holdProbe(pair, parties.localResource)
                ? .held(until: until) : probeCrossed(pair, parties, now)
        }
        return probeCrossed(pair, parties, now)
    }

    /// Whether a probe of the same address crossed lately and its answer may be under way.
    private func isUnanswered(_ pair: Int32, _ resource: UnsafeRawBufferPointer, _ now: NIODeadline) -> Bool {
        unsafe store[pair: pair].flags.contains(.probing)
            && store.texts.equals(store[pair: pair].probeResource, resource)
            && !hasPassed(policy.repeatProbeAfter, since: store[pair: pair].probeAt, now: now)
    }

    /// Whether all is known that the contact's server would answer.
    func mayAnswer(_ index: Int32, _ now: NIODeadline) -> Bool {
        let pair = store[pair: index]
        return pair.flags.isSuperset(of: [.authorised, .known]) && pair.knownRun == run
            && hasPassed(policy.settleTime, since: pair.knownAt, now: now)
            && !hasPassed(policy.knownFor, since: pair.knownAt, now: now)
    }

    /// Gives the answers: the presence of each available resource as its server would tell it, or `unavailable` of the
    /// bare address, as Prosody answers for who is offline.
    private mutating func answer(_ index: Int32, _ resource: TextTable.ID, _ now: NIODeadline) -> Int {
        var count = 0
        var next = store[pair: index].firstEntry
        while next >= 0 {
            let entry = store[entry: next]
            next = entry.next
            guard entry.flags.contains(.inbound), !entry.flags.contains(.directed), entry.shown != .unavailable,
                let told = stanza(entry, localResource: resource)
            else { continue }
            let stanza = entry.shown == .marked ? marked(told) : told
            actions.append(.deliver(stanza, age: age(of: entry, now: now)))
            count += 1
        }
        if count == 0,
            let offline = stanza(.unavailable, of: store[pair: index], isInbound: true, localResource: resource)
        {
            actions.append(.deliver(offline, age: nil))
            count = 1
        }
        return count
    }

    private mutating func probeCrossed(_ pair: Int32, _ parties: Parties, _ now: NIODeadline) -> LocalPresenceVerdict {
        counts.probesCrossed += 1
        guard unsafe store.setProbeResource(parties.localResource, of: pair) else { return .cross }
        noteProbe(pair, now)
        return .cross
    }

    private mutating func noteProbe(_ pair: Int32, _ now: NIODeadline) {
        store[pair: pair].flags.insert(.probing)
        store[pair: pair].flags.remove(.known)
        store[pair: pair].probeAt = tick(now)
        let interval = policy.probeInterval
        probesPaidAt = max(probesPaidAt, now) + interval
    }

    // MARK: Held probes

    /// When a probe may cross; nil: now.
    private func probeHeldUntil(_ now: NIODeadline) -> NIODeadline? {
        guard policy.probeBurst > 0, !isStopping else { return nil }
        let credit = policy.probeInterval * policy.probeBurst
        let paid = max(probesPaidAt, now) + policy.probeInterval
        let until = paid - credit
        return until > now ? until : heldProbes.isEmpty ? nil : now
    }

    private mutating func holdProbe(_ pair: Int32, _ resource: UnsafeRawBufferPointer) -> Bool {
        guard let resource = unsafe store.texts.hold(resource) else { return false }
        let (remote, local) = (store[pair: pair].remote, store[pair: pair].local)
        store.texts.retain(remote)
        store.texts.retain(local)
        heldProbes.append(HeldProbe(remote: remote, local: local, localResource: resource))
        return true
    }

    var nextProbeAt: NIODeadline? {
        guard !heldProbes.isEmpty else { return nil }
        return probesPaidAt + policy.probeInterval - policy.probeInterval * max(1, policy.probeBurst)
    }

    mutating func releaseDueProbes(_ now: NIODeadline) {
        var given = 0
        while let at = nextProbeAt, at <= now, given < limits.burst, let probe = heldProbes.popFirst() {
            given += 1
            releaseProbe(probe, now)
        }
    }

    /// Lets a probe cross that has waited, or answers it.
    mutating func releaseProbe(_ probe: HeldProbe, _ now: NIODeadline) {
        defer {
            store.texts.release(probe.remote)
            store.texts.release(probe.local)
            store.texts.release(probe.localResource)
        }
        let parties = unsafe Parties(
            remote: store.texts.bytes(probe.remote), remoteResource: store.texts.bytes(0),
            local: store.texts.bytes(probe.local), localResource: store.texts.bytes(probe.localResource))
        guard let pair = pair(parties) else { return }
        // Another probe may have been answered meanwhile. An answer that is given at the end might get lost with it.
        if !isStopping, mayAnswer(pair, now) {
            _ = answer(pair, probe.localResource, now)
            counts.probesAnswered += 1
            return
        }
        if unsafe isUnanswered(pair, parties.localResource, now) { return }
        store.texts.retain(probe.localResource)
        store.texts.release(store[pair: pair].probeResource)
        store[pair: pair].probeResource = probe.localResource
        noteProbe(pair, now)
        guard
            let stanza = stanza(.probe, of: store[pair: pair], isInbound: false, localResource: probe.localResource)
        else { return }
        counts.probesCrossed += 1
        actions.append(.cross(stanza))
    }
}
