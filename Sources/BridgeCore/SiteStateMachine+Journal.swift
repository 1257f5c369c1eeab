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
        guard !batches.isEmpty else { return }
        lastCommit += 1
        commitAgain()
    }

    /// The commit of this number is durable.
    package mutating func committed(_ number: UInt64, now: NIODeadline) {
        self.now = now
        precondition(commit == .underWay && number == lastCommit, "the commit that is under way")
        commit = .idle
        counters.commits &+= 1
        let done = batches
        batches = []
        for entry in done {
            peers[entry.peer].machine.batchCommitted(entry.batch.number, now: now)
            mark(peers[entry.peer])
        }
        if let since = stalledSince {
            stalledSince = nil
            failures = 0
            actions.append(.note(.journalRecovered(after: now - since)))
            stall(false)
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
        if stalledSince == nil {
            stalledSince = now
            actions.append(.note(.journalStalled))
            stall(true)
        }
    }

    private mutating func stall(_ isStalled: Bool) {
        for peer in peers where peer.machine.policy.isJournaled {
            peer.machine.journalStalled(isStalled, now: now)
            hold(peer, .journal, isStalled)
            mark(peer)
        }
    }

    mutating func commitAgain() {
        commit = .underWay
        actions.append(.commit(lastCommit, batches))
    }
}
