import XMPP

/// Receipts of local stanzas that were refused while the journal took nothing.
///
/// Such a refusal has no row, so the stanza counts as handled only when the server has the refusal: if the bridge ends before
/// that, the server still has the stanza, and its sender hears of it all the same.
struct RefusalReceipts {
    /// Tickets from here on are those of refusals; no inbox gets that far.
    private static let first: UInt64 = 1 << 63
    /// More are not waited for: the server that takes nothing would fill our memory.
    private static let most = 4_096

    private var receipts: [UInt64: LocalReceipt] = [:]
    private var next = Self.first
    /// The ticket that the refusal of the stanza at hand went out with.
    private var used: UInt64?

    /// A ticket for the refusal of the stanza at hand; nil when too many are waited for.
    mutating func takeTicket() -> UInt64? {
        guard receipts.count < Self.most else { return nil }
        defer { next += 1 }
        used = next
        return next
    }

    /// Keeps the receipt of the stanza at hand until its refusal is delivered; false when none was sent with a ticket.
    mutating func keep(_ receipt: LocalReceipt) -> Bool {
        guard let ticket = used else { return false }
        used = nil
        receipts[ticket] = receipt
        return true
    }

    /// Forgets what no receipt came for.
    mutating func endStanza() { used = nil }

    static func isTicket(_ id: UInt64) -> Bool { id >= first }

    /// The server has the refusal, or never will.
    mutating func settled(_ id: UInt64) -> LocalReceipt? { receipts.removeValue(forKey: id) }
}
