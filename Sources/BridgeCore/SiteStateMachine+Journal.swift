package import NIOCore
import Outbox
import ServerStreams

// What the machines want written, one commit at a time.
extension SiteStateMachine {
    /// Everything that one read, timer or link event brought in was fed to the machines and drawn: what has to be durable
    /// becomes one commit, if none is under way.
    package mutating func turnEnded(now: NIODeadline) {
        self.now = now
        pressureChanged(SiteBackPressure.queue, isBlocked: local.isQueueHalfFull)
        for peer in peers where peer.machine.owesTurn {
            peer.machine.turnEnded(now: now)
            mark(peer)
        }
        startCommit()
        if isStopping, !isLocalStopping, commit != .underWay {
            isLocalStopping = true
            local.shutdownRequested(now: now)
        }
    }

    private mutating func startCommit() {
        guard commit == .idle else { return }
        for peer in peers where peer.isTouched {
            peer.isTouched = false
            if let batch = peer.machine.takeBatch() {
                batches.append(PeerJournalBatch(peer: peer.number, batch: batch))
            }
        }
        if !batches.isEmpty { newCommit() }
    }

    private mutating func newCommit() {
        lastCommit += 1
        commitAgain()
    }

    private mutating func commitAgain() {
        commit = .underWay
        probeAt = nil
        actions.append(.commit(lastCommit, batches))
    }

    /// The commit of this number is durable.
    ///
    /// - Parameter isSpaceLow: nothing new should be taken on until a commit says otherwise.
    package mutating func committed(_ number: UInt64, isSpaceLow: Bool = false, now: NIODeadline) {
        self.now = now
        precondition(commit == .underWay && number == lastCommit, "the commit that is under way")
        commit = .idle
        failures = 0
        counters.commits &+= 1
        let done = batches
        batches = []
        for entry in done {
            peers[entry.peer].machine.batchCommitted(entry.batch.number, now: now)
            mark(peers[entry.peer])
        }
        for peer in peers { hold(peer, .journal, false) }
        if isSpaceLow {
            stall()
            // Without traffic nothing else would find out that there is space again.
            probeAt = now + configuration.commitRetryMaximum
            timerChanged()
        } else if let since = stalledSince {
            stalledSince = nil
            actions.append(.note(.journalRecovered(after: now - since)))
            tellPeers(isStalled: false)
        }
    }

    /// The commit under way failed and nothing of it was written, most likely because the disk is full. It is kept and
    /// tried again; meanwhile local senders are told to wait and links are not read.
    package mutating func commitFailed(now: NIODeadline) {
        self.now = now
        precondition(commit == .underWay, "a commit is under way")
        counters.failedCommits &+= 1
        let longest = configuration.commitRetryMaximum
        var pause = configuration.commitRetryMinimum
        for _ in 0..<min(failures, 32) where pause < longest { pause = pause * 2 }
        failures += 1
        commit = .failed(retryAt: now + min(pause, longest))
        timerChanged()
        stall()
        for peer in peers where peer.machine.policy.isJournaled { hold(peer, .journal, true) }
    }

    /// What is due for the journal by the clock alone.
    mutating func retryCommit() {
        switch commit {
        case .failed(let retryAt): if retryAt <= now { commitAgain() }
        case .idle: if let probeAt, probeAt <= now { newCommit() }
        case .underWay: break
        }
    }

    /// When ``retryCommit()`` has something to do.
    var commitDeadline: NIODeadline? {
        if case .failed(let retryAt) = commit { return retryAt }
        return probeAt
    }

    private mutating func stall() {
        guard stalledSince == nil else { return }
        stalledSince = now
        actions.append(.note(.journalStalled))
        tellPeers(isStalled: true)
    }

    private mutating func tellPeers(isStalled: Bool) {
        for peer in peers where peer.machine.policy.isJournaled {
            peer.machine.journalStalled(isStalled, now: now)
            mark(peer)
        }
    }
}
