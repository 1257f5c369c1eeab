import NIOCore
import SeededRandom

/// When the next dial of a link is due: the policy, what is asked for, and the back-off after failures.
struct LinkDialler {
    enum State: Equatable {
        case resting
        case waiting(until: NIODeadline)
        case dialling(deadline: NIODeadline)
    }

    private let policy: TCPLinkPolicy
    private var backOff: BackOff
    private(set) var state = State.resting
    /// Something waits for a connection.
    var isDemanded = false
    /// Not to be dialled before; the wait after a failure also holds for a demand that comes later.
    private var earliestDial: NIODeadline?

    init(policy: TCPLinkPolicy, seed: UInt64) {
        self.policy = policy
        backOff = BackOff(minimum: policy.reconnectMinimum, maximum: policy.reconnectMaximum, seed: seed)
    }

    /// Dials and connections in a row that came to nothing.
    var failures: Int { backOff.failures }

    var isDialling: Bool {
        if case .dialling = state { true } else { false }
    }

    var deadline: NIODeadline? {
        switch state {
        case .resting: nil
        case .waiting(let until): until
        case .dialling(let deadline): deadline
        }
    }

    /// Neither waits nor dials any more.
    mutating func rest() {
        state = .resting
    }

    /// A connection has ended.
    ///
    /// - Parameter worked: it had carried something, or lived long enough.
    mutating func connectionLost(_ reason: LinkEnd, worked: Bool, now: NIODeadline) {
        if worked, !reason.deservesBackOff {
            backOff.succeeded()
            earliestDial = now + backOff.delay()
        } else {
            countFailure(now: now)
        }
        // Nobody installs another version within a minute.
        if case .otherVersion = reason { earliestDial = now + max(policy.versionRetry, policy.reconnectMaximum) }
    }

    mutating func countFailure(now: NIODeadline) {
        earliestDial = now + backOff.delayAfterFailure()
    }

    /// The link is down: dials now or later, if the policy asks for it. True when a dial begins.
    mutating func dialWhenDue(now: NIODeadline) -> Bool {
        guard state == .resting else { return false }
        switch policy.dial {
        case .never: return false
        case .whenNeeded: guard isDemanded else { return false }
        case .always: break
        }
        if let earliestDial, earliestDial > now {
            state = .waiting(until: earliestDial)
            return false
        }
        state = .dialling(deadline: now + policy.dialTimeout)
        return true
    }
}

extension LinkEnd {
    /// True when dialling again at once would meet the same end.
    fileprivate var deservesBackOff: Bool {
        switch self {
        case .errorReceived, .errorSent, .failed, .badBlock, .otherVersion, .agreementBroken: true
        case .closedByPeer, .endedByPeer, .cut, .reset, .silent, .replaced, .closed, .dialTimeout: false
        }
    }
}
