import HeapModule
package import NIOCore
import Outbox
import XMPP

/// What goes over all pairs, a little at a time.
enum Sweep: Equatable {
    /// Tells local users how the peer's users are to be seen now.
    case show
    /// Gives the other side what did not reach it.
    case owed
    /// Asks the local server for users that were not heard of since its stream was lost.
    case ask
    /// Tells the other side that those are gone who did not answer.
    case conclude
}

/// The link, the local server and the other bridge come and go.
///
/// While the link is down, local users see the peer's users as the policy says: as they were, marked, or unavailable;
/// when it returns they see the truth again, from the cache, unless the peer was faster. Of the local server's troubles
/// nothing crosses: its users may come back within ``PresencePolicy/localGrace`` and say what the other side knows
/// already. Who did not is asked for – over the local network – and is unavailable if there is no answer: without the
/// cache a contact's probe would have found that out, so the cache must.
extension PeerPresence {
    package mutating func linkWentDown(now: NIODeadline) {
        isLinkUp = false
        restoreAt = nil
        if linkLostAt == nil { linkLostAt = now }
        // What came since the link returned is shown as it is.
        if shown != .asItIs { schedule(.show, at: now) }
    }

    package mutating func linkCameUp(now: NIODeadline) {
        isLinkUp = true
        if shown == .asItIs { linkLostAt = nil } else { restoreAt = now + policy.restoreAfter }
        owedAt = nil
        if owedCount > 0 { schedule(.owed, at: now) }
    }

    /// The other bridge forgot what it had: it started anew. Also for a peer of which nobody can say so, at each
    /// connection.
    ///
    /// What its users were told before stays with them, but changes may have been lost, so that probes cross again.
    package mutating func peerRestarted(now: NIODeadline) { run &+= 1 }

    package mutating func localStreamLost(now: NIODeadline) {
        guard isServerUp else { return }
        isServerUp = false
        streams &+= 1
        askAt = nil
        concludeAt = nil
        knockAt = now + policy.localGrace
        knockPlace = 0
    }

    package mutating func localStreamRestored(now: NIODeadline) {
        guard !isServerUp else { return }
        isServerUp = true
        knockAt = nil
        askAt = now + policy.localGrace
        if !sweeps.isEmpty { sweepAt = now }
    }

    /// How the link's state is shown, by policy.
    private func shownPresence(_ now: NIODeadline) -> ShownPresence {
        guard let lost = linkLostAt else { return .asItIs }
        if let after = policy.unavailableAfter, lost + after <= now { return .unavailable }
        if let after = policy.markAfter, lost + after <= now { return .marked }
        return .asItIs
    }

    // MARK: Time

    /// When ``deadlineReached(now:)`` is due; nil: nothing waits.
    package var nextDeadline: NIODeadline? {
        var deadline = heldTimes.min?.until
        func add(_ other: NIODeadline?) {
            if let other { deadline = min(deadline ?? other, other) }
        }
        add(nextProbeAt)
        if isServerUp || sweeps.first == .owed { add(sweepAt) }
        add(restoreAt)
        add(owedAt)
        add(askAt)
        add(concludeAt)
        add(knockAt)
        if !isLinkUp, let lost = linkLostAt {
            if shown == .asItIs, let after = policy.markAfter { add(lost + after) }
            if shown != .unavailable, let after = policy.unavailableAfter { add(lost + after) }
        }
        return deadline
    }

    package mutating func deadlineReached(now: NIODeadline) {
        releaseDuePresence(now)
        releaseDueProbes(now)
        if !isLinkUp {
            show(shownPresence(now), now)
        } else if let at = restoreAt, at <= now {
            restoreAt = nil
            linkLostAt = nil
            show(.asItIs, now)
        }
        if let at = owedAt, at <= now {
            owedAt = nil
            if isLinkUp { schedule(.owed, at: now) }
        }
        if let at = askAt, at <= now {
            askAt = nil
            schedule(.ask, at: now)
        }
        if let at = concludeAt, at <= now {
            concludeAt = nil
            schedule(.conclude, at: now)
        }
        if let at = knockAt, at <= now { knock(now) }
        if let at = sweepAt, at <= now { sweep(now) }
    }

    /// Asks a local server that opened no stream again for one of its users, so that its answer opens one, or the bridge's
    /// own attempt fails. Without that, users of a server that came back with nobody logged in would be online for the other
    /// side for ever. Until it answers nothing is concluded: it may only be unreachable from here, and its users would not
    /// say again what they believe to be known.
    private mutating func knock(_ now: NIODeadline) {
        let end = min(store.entries.count, knockPlace + Self.stride)
        while knockPlace < end {
            let entry = store[entry: Int32(knockPlace)]
            knockPlace += 1
            guard entry.flags.contains(.used), !entry.flags.contains(.inbound), entry.streams != streams,
                store[pair: entry.pair].flags.contains(.seen),
                let probe = stanza(.probe, of: store[pair: entry.pair], isInbound: true)
            else { continue }
            actions.append(.deliver(probe, age: nil))
            // Another one next time: the server may know nothing of this one.
            knockAt = now + policy.localGrace
            return
        }
        let isThrough = knockPlace >= store.entries.count
        if isThrough { knockPlace = 0 }
        knockAt = now + (isThrough ? policy.localGrace : limits.pace)
    }

    private mutating func show(_ next: ShownPresence, _ now: NIODeadline) {
        guard next != shown else { return }
        shown = next
        schedule(.show, at: now)
    }

    // MARK: Sweeps

    mutating func schedule(_ sweep: Sweep, at: NIODeadline) {
        if sweeps.first == sweep {
            sweepPlace = 0
        } else if !sweeps.contains(sweep) {
            sweeps.append(sweep)
        }
        sweepAt = min(sweepAt ?? at, at)
    }

    /// How many presences are looked at in one go.
    private static let stride = 8_192

    private mutating func sweep(_ now: NIODeadline) {
        guard let current = sweeps.first, isServerUp || current == .owed else {
            // Goes on when the local server is there.
            if let other = sweeps.firstIndex(of: .owed) {
                sweeps.swapAt(0, other)
                sweepPlace = 0
            } else {
                sweepAt = nil
            }
            return
        }
        let before = actions.count
        var seen = 0
        while sweepPlace < store.entries.count, seen < Self.stride, actions.count - before < limits.burst {
            if store[entry: Int32(sweepPlace)].flags.contains(.used) { visit(Int32(sweepPlace), current, now) }
            sweepPlace += 1
            seen += 1
        }
        if sweepPlace >= store.entries.count {
            sweeps.removeFirst()
            sweepPlace = 0
            if current == .ask { concludeAt = now + policy.localAnswerTime }
        }
        sweepAt = sweeps.isEmpty ? nil : now + limits.pace
    }

    private mutating func visit(_ index: Int32, _ sweep: Sweep, _ now: NIODeadline) {
        let entry = store[entry: index]
        let isInbound = entry.flags.contains(.inbound)
        switch sweep {
        case .show:
            // What comes over a link that is up is the truth.
            guard isInbound, entry.shown != shown, shown == .asItIs || !isLinkUp else { return }
            store[entry: index].shown = shown
            guard let told = stanza(entry, type: shown == .unavailable ? .unavailable : .absent) else { return }
            let age = shown == .unavailable ? nil : age(of: entry, now: now)
            actions.append(.deliver(shown == .marked ? marked(told) : told, age: age))
        case .owed:
            guard entry.flags.contains(.owed), !entry.flags.contains(.held), isLinkUp else { return }
            giveOwed(index, now)
        case .ask:
            guard !isInbound, entry.streams != streams else { return }
            let flags = store[pair: entry.pair].flags
            guard flags.contains(.seen), !flags.contains(.asked),
                let probe = stanza(.probe, of: store[pair: entry.pair], isInbound: true)
            else { return }
            store[pair: entry.pair].flags.insert(.asked)
            actions.append(.deliver(probe, age: nil))
        case .conclude:
            let isAsked = store[pair: entry.pair].flags.contains(.asked)
            store[pair: entry.pair].flags.remove(.asked)
            guard !isInbound, entry.streams != streams else { return }
            if isAsked || store[pair: entry.pair].flags.contains(.seen),
                let gone = stanza(entry, type: .unavailable)
            {
                counts.crossed += 1
                actions.append(.cross(gone))
            }
            // Of strangers the server would say `unsubscribed`, so it was not asked: what they are told next crosses.
            remove(index)
        }
    }

    /// Lets cross what is owed.
    mutating func giveOwed(_ index: Int32, _ now: NIODeadline) {
        store[entry: index].flags.remove(.owed)
        store[entry: index].time = tick(now)
        owedCount -= 1
        guard let told = stanza(store[entry: index]) else { return }
        counts.crossed += 1
        actions.append(.cross(told))
    }

    /// The stanza with the mark behind its status.
    func marked(_ stanza: Stanza) -> Stanza {
        do throws(StreamError) {
            return try reader.read(ByteBuffer(string: stanza.textWithStatusMark(policy.mark)))
        } catch { return stanza }
    }
}
