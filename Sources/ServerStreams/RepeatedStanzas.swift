import DequeModule
import NIOCore
import XMPP

/// Stanzas that the server may send once more, because it was not told (or the bridge cannot know that it was) that they
/// arrived.
///
/// Each is recognised once and for a limited time: the same words with the same id may be meant anew later.
struct RepeatedStanzas {
    private struct Suspect {
        var serial: UInt64
        var expires: NIODeadline
        /// The stanza is not handled yet; its repetition must not be acknowledged before it is.
        var origin: LocalReceipt?
        var isRefused: Bool
    }

    private var suspects: [UInt64: [Suspect]] = [:]
    /// In the order of their coming, which is that of their expiry.
    private var order: Deque<(serial: UInt64, fingerprint: UInt64, expires: NIODeadline)> = []
    private var nextSerial: UInt64 = 0
    /// Stanzas of streams that are gone and that are not handled yet, with the repetitions that wait for them.
    private var unhandled: [LocalReceipt: [LocalReceipt]] = [:]

    /// How long the server may take to send again.
    static let patience = TimeAmount.minutes(15)
    private static let maximum = 16_384

    init() {}

    var isEmpty: Bool { self.suspects.isEmpty }

    /// Remembers a stanza of a stream that is gone.
    mutating func remember(
        _ fingerprint: UInt64, unhandled origin: LocalReceipt? = nil, isRefused: Bool = false, now: NIODeadline
    ) {
        let suspect = Suspect(
            serial: self.nextSerial, expires: now + Self.patience, origin: origin, isRefused: isRefused)
        self.nextSerial += 1
        self.suspects[fingerprint, default: []].append(suspect)
        self.order.append((suspect.serial, fingerprint, suspect.expires))
        while let first = self.order.first, first.expires <= now || self.order.count > Self.maximum {
            self.order.removeFirst()
            self.remove(first.serial, first.fingerprint)
        }
    }

    /// A stanza of a stream that is gone still has to be handled.
    mutating func expect(_ origin: LocalReceipt) {
        self.unhandled[origin] = []
    }

    private mutating func remove(_ serial: UInt64, _ fingerprint: UInt64) {
        self.suspects[fingerprint]?.removeAll { $0.serial == serial }
        if self.suspects[fingerprint]?.isEmpty == true { self.suspects[fingerprint] = nil }
    }

    enum Verdict: Equatable {
        /// It is new.
        case new
        /// It is the bridge's own already.
        case handled
        /// It was refused before. Its server sends it again, or its sender tries again; the same answer serves both.
        case refused
        /// It came before and is being handled; `handled(_:)` will name it.
        case pending
    }

    /// A stanza came; a match is used up by it.
    mutating func received(_ fingerprint: UInt64?, _ receipt: LocalReceipt, now: NIODeadline) -> Verdict {
        guard let fingerprint, let all = self.suspects[fingerprint] else { return .new }
        // Where there are several, the newest: it is the one that the server was told of last, if at all.
        guard let match = all.last, match.expires > now else { return .new }
        self.remove(match.serial, fingerprint)
        guard let origin = match.origin, self.unhandled[origin] != nil else { return match.isRefused ? .refused : .handled }
        self.unhandled[origin]?.append(receipt)
        return .pending
    }

    /// A stanza of a stream that is gone was handled.
    ///
    /// - Returns: its repetitions, which are handled with it.
    mutating func handled(_ origin: LocalReceipt) -> [LocalReceipt] {
        self.unhandled.removeValue(forKey: origin) ?? []
    }
}
