import DequeModule
import NIOCore
import XMPP

/// What the bridge wrote on one of its streams and the server is not responsible for yet (XEP-0198, sending side).
///
/// Where the server acknowledges, a stanza stays here until its count says so. Where it does not, a stanza stays until the
/// kernel has taken it; more cannot be known.
///
/// Counts are modulo 2^32 and start with `enable`. The informal recipe of XEP-0198 counts the first stanza as 0; here the
/// first one has the number 1, so that `h='0'` acknowledges nothing.
struct OutboundLedger {
    enum Management: Equatable {
        /// The server does not offer it, refused it, or was not asked.
        case off
        /// `enable` was sent; what follows counts if the server agrees.
        case enabling
        case on
    }

    /// An acknowledgement that cannot be true.
    enum Fault: Error, Equatable {
        /// More than was sent: `sent` stanzas.
        case tooHigh(sent: UInt32)
        /// Less than was acknowledged before.
        case backwards
    }

    private(set) var management = Management.off
    /// Oldest first.
    private var entries: Deque<Delivery> = []
    private(set) var bytes = 0
    /// How many of the entries the kernel has taken.
    private var taken = 0
    /// The server's last count.
    private var acknowledged: UInt32 = 0
    /// Whether the server ever acknowledged a stanza on this stream.
    private(set) var hasProgressed = false
    /// How many of the entries the last unanswered request asked about.
    private var asked = 0
    /// Bytes of the entries behind those.
    private var unaskedBytes = 0
    /// Since when the server owes progress; set while `asked` is not 0.
    private(set) var owesSince: NIODeadline?
    /// When to ask again, because the server has answered for a part only.
    private(set) var asksAgainAt: NIODeadline?
    /// Kernel took them, nobody will ever acknowledge them: when, and how many, of the last seconds.
    private var unprotected: Deque<(at: NIODeadline, count: Int)> = []

    /// After so many stanzas, or bytes, the server is asked even though more follow at once.
    private static let stanzasPerRequest = 32
    private static let bytesPerRequest = 64 << 10
    /// What the kernel took so shortly before a connection broke may never have reached the server.
    static let doubtTime = TimeAmount.seconds(5)

    var count: Int { self.entries.count }
    var isEmpty: Bool { self.entries.isEmpty }

    init(counter: UInt32 = 0) {
        self.acknowledged = counter
    }

    // MARK: Management

    mutating func enableSent() { self.management = .enabling }

    mutating func enabled() {
        if self.management == .enabling { self.management = .on }
    }

    /// The server will not acknowledge after all.
    ///
    /// - Returns: what the kernel has taken so far.
    mutating func refused(now: NIODeadline) -> [Delivery] {
        guard self.management == .enabling else { return [] }
        self.management = .off
        return self.takeFirst(self.taken, now: now)
    }

    // MARK: Sending

    /// Whether one more may go out now.
    func takes(_ next: Delivery, _ configuration: LocalSideConfiguration) -> Bool {
        guard self.management != .off, let last = self.entries.last else { return true }
        // What the server may not bear travels alone, so that it is known what ends the stream.
        if next.isSuspect || last.isSuspect { return false }
        return self.entries.count < configuration.unacknowledgedStanzas
            && self.bytes < configuration.unacknowledgedBytes
    }

    mutating func append(_ delivery: Delivery) {
        self.entries.append(delivery)
        self.bytes += delivery.stanza.byteCount
        self.unaskedBytes += delivery.stanza.byteCount
    }

    /// The kernel took that many more.
    ///
    /// - Returns: those that are settled by it.
    mutating func written(_ count: Int, now: NIODeadline) -> [Delivery] {
        self.taken = min(self.taken + max(count, 0), self.entries.count)
        return self.management == .off ? self.takeFirst(self.taken, now: now) : []
    }

    // MARK: Acknowledgements

    /// Whether to ask the server now.
    ///
    /// - Parameter isAtRest: nothing more follows at the moment.
    func wantsRequest(isAtRest: Bool) -> Bool {
        guard self.management == .on else { return false }
        let unasked = self.entries.count - self.asked
        guard unasked > 0 else { return false }
        if isAtRest, self.asked == 0 { return true }
        return unasked >= Self.stanzasPerRequest || self.unaskedBytes >= Self.bytesPerRequest
    }

    /// A request goes out.
    mutating func requested(now: NIODeadline) {
        self.asked = self.entries.count
        self.unaskedBytes = 0
        self.asksAgainAt = nil
        if self.owesSince == nil { self.owesSince = now }
    }

    /// The server's count arrived.
    ///
    /// - Returns: what it is responsible for from now on.
    mutating func acknowledged(_ h: UInt32, now: NIODeadline) throws(Fault) -> [Delivery] {
        guard self.management == .on else { return [] }
        let progress = h &- self.acknowledged
        guard Int(progress) <= self.entries.count else {
            // Half of the circle lies before, half behind.
            if progress >= 1 << 31 { throw .backwards }
            throw .tooHigh(sent: self.acknowledged &+ UInt32(truncatingIfNeeded: self.entries.count))
        }
        self.acknowledged = h
        if progress > 0 { self.hasProgressed = true }
        let settled = self.takeFirst(Int(progress), now: now)
        if self.asked == 0 {
            self.owesSince = nil
            self.asksAgainAt = nil
        } else {
            // It makes stanzas its own later than it reads them; no use in asking at once.
            if progress > 0 { self.owesSince = now }
            self.asksAgainAt = now + .seconds(1)
        }
        return settled
    }

    private mutating func takeFirst(_ count: Int, now: NIODeadline) -> [Delivery] {
        guard count > 0 else { return [] }
        let settled = Array(self.entries.prefix(count))
        self.entries.removeFirst(count)
        for delivery in settled { self.bytes -= delivery.stanza.byteCount }
        self.taken = max(self.taken - count, 0)
        self.asked = max(self.asked - count, 0)
        if self.entries.count == self.asked { self.unaskedBytes = 0 }
        if self.management == .off {
            self.unprotected.append((now, count))
            while let first = self.unprotected.first, first.at + Self.doubtTime < now { self.unprotected.removeFirst() }
        }
        return settled
    }

    // MARK: The end

    /// What a stream leaves behind.
    struct Remains {
        /// What goes out again, oldest first.
        var unsettled: [Delivery]
        /// How many of them, from the first on, the server may have.
        var taken: Int
        /// How many are gone from here and may not have reached the server.
        var unprotected: Int
    }

    /// Empties the ledger: the connection is gone.
    mutating func close(now: NIODeadline) -> Remains {
        let recent = self.unprotected.filter { $0.at + Self.doubtTime >= now }.reduce(0) { $0 + $1.count }
        let remains = Remains(unsettled: Array(self.entries), taken: self.taken, unprotected: recent)
        self = OutboundLedger()
        return remains
    }
}
