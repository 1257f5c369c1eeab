import Blocks
import Outbox
import XMPP

/// What goes into one block: of one compression context, up to its size.
struct BlockSelection {
    let maximumBytes: Int
    let maximumStanzas: Int
    var contexts: LabelContexts
    private(set) var bytes = 0
    private(set) var stanzas = 0
    /// Nil while nothing was taken.
    private(set) var context: UInt8?
    private(set) var isUrgent = false

    init(maximumBytes: Int, maximumStanzas: Int, contexts: LabelContexts) {
        self.maximumBytes = maximumBytes
        self.maximumStanzas = max(1, maximumStanzas)
        self.contexts = contexts
    }

    /// - Parameter isCutAgain: it has a number already, so it goes in this lane whatever it is.
    mutating func offer(
        _ stanza: Stanza, _ stanzaClass: StanzaClass, lane: Lane, isCutAgain: Bool = false
    ) -> OutboxOffer {
        guard stanzas < maximumStanzas else { return .stop }
        let own = contexts.context(of: stanza)
        let isLarge = stanza.byteCount > maximumBytes
        // What has no history of its own goes by the lane in which every block of a label stands alone.
        if own == LabelContexts.overflow, lane == .normal, !isLarge, !isCutAgain { return .passOver }
        if let context, context != own { return .passOver }
        if stanzas > 0, bytes + stanza.byteCount > maximumBytes { return .stop }
        // A large stanza goes in parts, and only the normal lane has those.
        if lane == .express, isLarge, !isCutAgain { return .passOver }
        context = own
        stanzas += 1
        bytes += stanza.byteCount
        if stanzaClass == .urgent { isUrgent = true }
        return .take
    }
}
