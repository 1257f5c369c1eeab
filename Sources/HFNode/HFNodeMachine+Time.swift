package import NIOCore
import STANAG5066

extension HFNodeMachine {
    /// When ``deadlineReached(now:)`` is to be called, unless something else happens before.
    package var nextDeadline: NIODeadline? {
        var next: NIODeadline?
        func consider(_ deadline: NIODeadline?) {
            if let deadline { next = min(next ?? deadline, deadline) }
        }
        switch channel {
        case .sending: break
        case .idle(let notBefore):
            consider(repeatsAt)
            if !isSilent, notBefore > lastNow, remotes.contains(where: { $0.hasWork || $0.hasData }) { consider(notBefore) }
            for place in remotes.indices {
                consider(remotes[place].link.deadline(answerTime: answerTime(place)))
                if !isSilent, remotes[place].hasData, let pause = remotes[place].callNotBefore {
                    consider(max(pause, notBefore))
                }
            }
        case .awaiting(_, let until), .hearing(_, let until), .turning(_, let until): consider(until)
        }
        for remote in remotes {
            consider(remote.queue.earliestExpiry)
            if !remote.inFlight.isEmpty { consider(remote.earliestExpiry) }
            consider(remote.unconfirmed.first?.deadline)
        }
        return next
    }

    package mutating func deadlineReached(now: NIODeadline) {
        lastNow = now
        repeatsAt = nil
        expireUnits(now: now)
        switch channel {
        case .hearing(let awaited, let until) where until <= now: turn(awaited, now: now)
        case .awaiting(let awaited, let until) where until <= now: turnTaken(awaited, now: now)
        case .turning(let awaited, let until) where until <= now: turnTaken(awaited, now: now)
        case .idle, .sending, .awaiting, .hearing, .turning: break
        }
        if case .idle = channel {
            for place in remotes.indices {
                remotes[place].link.deadlineReached(
                    answerTime: answerTime(place), isQuiet: remotes[place].isQuiet, now: now)
                takeLinkEvents(place, now: now)
            }
        }
        if repeatsAt == nil { transmitWhenAllowed(now: now) }
    }

    /// The other side had its turn, and it is ours.
    private mutating func turnTaken(_ awaited: Awaited?, now: NIODeadline) {
        channel = .idle(notBefore: now)
        guard let awaited, let place = index(of: awaited.peer) else { return }
        if awaited.isAnswered || awaited.isHeard { remotes[place].misses = 0 }
        if awaited.isAnswered { remotes[place].unanswered = 0 }
        guard !awaited.isAnswered, awaited.purpose != .nothing else { return }
        guard !isSilent else {
            answerForgotten(awaited, now: now)
            return
        }
        remotes[place].unanswered += 1
        if !awaited.isHeard { remotes[place].misses += 1 }
        var backOffs = remotes[place].misses
        switch awaited.purpose {
        case .nothing: break
        case .link: remotes[place].link.answerMissed()
        case .reset, .data:
            if awaited.purpose == .reset { remotes[place].isResetDue = true }
            actions.append(.noted(.burstUnanswered(awaited.peer)))
            repeatsAt = now
            // The first time the answer was probably lost alone; two sides that talk at once do so again and again.
            backOffs -= 1
            let isDead = remotes[place].misses >= configuration.maximumMisses
            if isDead || remotes[place].unanswered >= 4 * configuration.maximumMisses { remotes[place].link.linkLost() }
        }
        takeLinkEvents(place, now: now)
        if backOffs > 0 { channel = .idle(notBefore: now + backOff(backOffs)) }
    }

    /// Silence was ordered before the answer came: nobody is to blame, but what was asked has to be asked again.
    mutating func answerForgotten(_ awaited: Awaited, now: NIODeadline) {
        guard !awaited.isAnswered, let place = index(of: awaited.peer) else { return }
        switch awaited.purpose {
        case .nothing, .data: break
        case .link:
            remotes[place].link.answerMissed()
            takeLinkEvents(place, now: now)
        case .reset: remotes[place].isResetDue = true
        }
    }

    /// Uniform up to twice the time in which two nodes do not hear each other, doubled with each time.
    private mutating func backOff(_ times: Int) -> TimeAmount {
        let longest = configuration.maximumBackOff.nanoseconds
        var limit = 2 * (timing.untilHeard + timing.interleaver).nanoseconds
        for _ in 1..<max(1, min(times, 16)) where limit < longest { limit *= 2 }
        return .nanoseconds(Int64.random(in: 0...max(0, min(limit, longest)), using: &random))
    }

    // MARK: Ends

    /// Rejects what nobody may deliver any more (§A.2.1.6).
    mutating func expireUnits(now: NIODeadline) {
        for place in remotes.indices {
            for unit in remotes[place].queue.removeExpired(now: now) { settle(unit, .rejected(.timeToLiveExpired)) }
            if let earliest = remotes[place].earliestExpiry, earliest <= now {
                let late = remotes[place].inFlight.values.filter { $0.expires <= now }
                for unit in late.sorted(by: { $0.number < $1.number }) {
                    guard remotes[place].sender.unitDropped(unit.number) else { continue }
                    remotes[place].inFlight[unit.number] = nil
                    remotes[place].confirmedEarly.remove(unit.number)
                    settle(unit, .rejected(.timeToLiveExpired))
                }
                remotes[place].earliestExpiry = remotes[place].inFlight.values.map(\.expires).filter { $0 > now }.min()
            }
            while let first = remotes[place].unconfirmed.first, first.deadline <= now {
                remotes[place].unconfirmed.removeFirst()
                settle(first.unit, .rejected(.destinationNotResponding))
            }
        }
    }

    // MARK: Links

    /// Takes what the link machine has to say.
    mutating func takeLinkEvents(_ place: Int, now: NIODeadline) {
        while let event = remotes[place].link.nextEvent() {
            let address = remotes[place].address
            switch event {
            case .made(let asCaller):
                remotes[place].misses = 0
                remotes[place].unanswered = 0
                remotes[place].pendingReset = nil
                remotes[place].obeyedReset = nil
                remotes[place].owedResets = []
                remotes[place].owedWarning = nil
                actions.append(.noted(.linkMade(address, asCaller: asCaller)))
                switch configuration.lossPolicy {
                case .reject: restartWindows(place)
                case .keep where !remotes[place].isInStep && configuration.link.isUsed:
                    // The other side may go on where an earlier life of this node was, and would take our first frames for the rest
                    // of its last.
                    beginReset(place)
                case .keep: break
                }
            case .failed(let end):
                actions.append(.noted(.callFailed(address, end)))
                remotes[place].callNotBefore = now + configuration.callPause
                giveUp(place)
            case .broken(let end):
                actions.append(.noted(.linkBroken(address, end)))
                remotes[place].pendingReset = nil
                remotes[place].owesAcknowledgement = false
                remotes[place].owedResets = []
                if end == .notResponding { giveUp(place) }
            }
        }
    }

    /// Nobody answers there.
    private mutating func giveUp(_ place: Int) {
        remotes[place].misses = 0
        remotes[place].unanswered = 0
        switch configuration.lossPolicy {
        case .keep: break
        case .reject:
            remotes[place].callNotBefore = nil
            _ = remotes[place].sender.reset()
            remotes[place].receiver.reset()
            let inFlight = remotes[place].inFlight.values.sorted { $0.number < $1.number }
            remotes[place].inFlight = [:]
            remotes[place].confirmedEarly = []
            for unit in inFlight + remotes[place].queue.removeAll() {
                settle(unit, .rejected(.destinationNotResponding))
            }
        }
    }
}
