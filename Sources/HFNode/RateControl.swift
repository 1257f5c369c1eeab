/// The rate of one node: applies a ``RatePolicy`` to what becomes of its bursts.
///
/// A node without data of its own has nothing to judge by. It answers in the mode that it hears, which is the one that
/// the other side found fit.
package struct RateControl: Hashable, Sendable {
    /// Bursts heard without data of our own acknowledged, after which the other side is followed again.
    private static let patience = 3

    private let policy: RatePolicy
    private let ladder: RateLadder
    private let channelClass: SNRThresholds.ChannelClass
    /// The mode in which links begin.
    private let start: Waveform
    /// The mode for the next burst.
    package private(set) var current: Waveform
    private var heardWithoutEvidence = patience

    package init(
        policy: RatePolicy, ladder: RateLadder, channelClass: SNRThresholds.ChannelClass, start: Waveform
    ) {
        self.policy = policy
        self.ladder = ladder
        self.channelClass = channelClass
        self.start = start
        current = start
    }

    /// What became of our last burst with data.
    package mutating func burstAssessed(_ report: RatePolicy.Report) {
        heardWithoutEvidence = 0
        current = policy.next(after: current, report, in: ladder, channelClass: channelClass)
    }

    /// The link is over: the next one begins where all do.
    package mutating func linkEnded() {
        heardWithoutEvidence = Self.patience
        current = start
    }

    /// Nobody answered our calls: the next ones are more robust.
    package mutating func callFailed() {
        guard policy != .off else { return }
        current = ladder.below(current)
    }

    /// A burst of the other side was found, in this mode.
    package mutating func burstHeard(_ waveform: Waveform) {
        guard policy != .off, ladder.waveforms.contains(waveform) else { return }
        guard heardWithoutEvidence >= Self.patience else {
            heardWithoutEvidence += 1
            return
        }
        current = waveform
    }
}
