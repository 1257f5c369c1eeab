package import NIOCore
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
    }

    /// The commit of this number is durable.
    package mutating func committed(_ number: UInt64, now: NIODeadline) {
        self.now = now
        guard commit == .underWay, number == lastCommit else { return }
        commit = .idle
        counters.commits &+= 1
    }

    /// The commit under way failed and nothing of it was written, most likely because the disk is full. It is kept and
    /// tried again; meanwhile local senders are told to wait and links are not read.
    package mutating func commitFailed(now: NIODeadline) {
        self.now = now
        guard commit == .underWay else { return }
        counters.failedCommits &+= 1
    }

    mutating func commitAgain() {
        commit = .underWay
        actions.append(.commit(lastCommit, batches))
    }
}
