import DequeModule
import NIOCore

/// What the server sent on one of its streams, and how far the bridge is responsible for it (XEP-0198, receiving side).
///
/// The count that is told to the server covers a stanza only when it and all before it were handled: made durable, or
/// answered. So what the server forgets is never lost by a bridge that dies.
///
/// Without resumption: the count of a stream that is gone is of no use to the server, for Prosody (the only server known to
/// manage streams between servers) sends again on a new stream or not at all, and a bridge that was restarted could not
/// honour it. What matters, to know again what comes twice, is done by fingerprints.
struct InboundLedger {
    private struct Entry {
        var fingerprint: UInt64?
        var isHandled = false
        var isRefused = false
    }

    /// A stanza that the server may send again.
    struct Suspect: Equatable {
        var fingerprint: UInt64
        /// Its number on its stream.
        var number: UInt64
        var isHandled: Bool
        var isRefused = false
    }

    private(set) var isOn = false
    /// Stanzas so far, whether or not they count.
    private(set) var received: UInt64 = 0
    /// Everything up to this number was handled; 0 or the number at `enable` while nothing was.
    private var handled: UInt64 = 0
    /// Everything up to this number was told to the server.
    private var told: UInt64 = 0
    /// Stanzas before `enable`, which do not count.
    private var offset: UInt64 = 0
    /// What lies behind the number `forgotten`.
    private var entries: Deque<Entry> = []
    private var forgotten: UInt64 = 0
    /// What the server was told, oldest first.
    private var tellings: Deque<UInt64> = []
    private(set) var tellsAt: NIODeadline?

    /// After so many stanzas the server is told at once; Prosody keeps 500 and then overwrites.
    private static let stanzasPerTelling = 16
    /// A smaller number is told so late, for more may follow.
    private static let patience = TimeAmount.milliseconds(150)
    /// What was told may never have arrived: a server that reads nothing, or a connection that died in one direction only,
    /// goes on sending. So time proves nothing, and this much is always remembered; no server is known to keep more for
    /// sending again.
    static let remembered = 512

    init() {}

    /// What the bridge tells the server. Modulo 2^32.
    var h: UInt32 { UInt32(truncatingIfNeeded: self.handled &- self.offset) }
    /// Received and not told, whether or not handled.
    var untold: Int { self.isOn ? Int(self.received - self.told) : 0 }

    /// The server asked for acknowledgements: what comes from here on counts.
    ///
    /// - Parameter counter: where the count starts; 0 but in tests.
    mutating func enable(counter: UInt32 = 0) {
        self.isOn = true
        self.offset = self.received &- UInt64(counter)
        self.handled = self.received
        self.told = self.received
        self.forgotten = self.received
    }

    /// A stanza arrived; `fingerprint` is asked for only where it may be needed.
    ///
    /// - Returns: its number on this stream, from 1.
    mutating func received(_ fingerprint: @autoclosure () -> UInt64?, now: NIODeadline) -> UInt64 {
        self.received += 1
        guard self.isOn else { return self.received }
        self.entries.append(Entry(fingerprint: fingerprint()))
        self.forget()
        return self.received
    }

    /// A stanza is the bridge's own, or was refused.
    mutating func handled(_ number: UInt64, isRefused: Bool = false, now: NIODeadline) {
        guard self.isOn, number > self.handled, number <= self.received else { return }
        if isRefused { self.entries[Int(number - self.forgotten - 1)].isRefused = true }
        self.entries[Int(number - self.forgotten - 1)].isHandled = true
        while self.handled < self.received, self.entries[Int(self.handled - self.forgotten)].isHandled { self.handled += 1 }
        if self.handled > self.told, self.tellsAt == nil { self.tellsAt = now + Self.patience }
    }

    /// Something was handled that the server was not told of.
    var hasNews: Bool { self.handled > self.told }

    /// Whether the server should hear of what was handled without asking.
    func wantsTelling(now: NIODeadline) -> Bool {
        guard self.handled > self.told else { return false }
        return self.handled - self.told >= Self.stanzasPerTelling || self.tellsAt.map { $0 <= now } ?? false
    }

    /// The server is told ``h``.
    mutating func tell(now: NIODeadline) {
        self.tellsAt = nil
        guard self.handled > self.told else { return }
        self.told = self.handled
        self.tellings.append(self.told)
    }

    /// Lets go of what the server has certainly forgotten.
    private mutating func forget() {
        while let first = self.tellings.first, self.told - first >= Self.remembered {
            self.entries.removeFirst(Int(first - self.forgotten))
            self.forgotten = first
            self.tellings.removeFirst()
        }
    }

    /// The stream is gone: what the server may send again, oldest first.
    mutating func close() -> [Suspect] {
        var suspects: [Suspect] = []
        for (index, entry) in self.entries.enumerated() {
            guard let fingerprint = entry.fingerprint else { continue }
            let number = self.forgotten + UInt64(index) + 1
            suspects.append(
                Suspect(
                    fingerprint: fingerprint, number: number, isHandled: entry.isHandled, isRefused: entry.isRefused))
        }
        self = InboundLedger()
        return suspects
    }
}
