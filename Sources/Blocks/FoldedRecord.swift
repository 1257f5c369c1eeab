package import XMPP

/// Stanzas that cross as one record: the first, and those that differ from it in `to` alone, as far as one list may go.
package struct FoldedRecord: Sendable {
    package let first: Stanza
    /// Found out when a second stanza comes.
    private var template: FoldableStanza?
    package private(set) var stanzas = 1
    private var recipientBytes = 0
    /// Hashes of the recipients, once there are several.
    private var recipients: Set<UInt64> = []

    package init(_ first: Stanza) { self.first = first }

    /// Whether the stanza is the same as those here in everything but the value of `to`.
    package mutating func isLike(_ stanza: FoldableStanza) -> Bool {
        if template == nil { template = FoldableStanza(first) }
        return template?.differsOnlyInRecipient(from: stanza) ?? false
    }

    /// Whether a list with this stanza's recipient can be: not too long, nobody in it twice.
    ///
    /// - Parameter stanza: ``isLike(_:)`` said yes to it.
    package func takes(_ stanza: FoldableStanza) -> Bool {
        guard let template else { return false }
        guard stanzas > 1 else {
            return template.canBeTemplate && template.valueHash != stanza.valueHash
                && RecipientLists.isAcceptable(count: 2, bytes: template.valueBytes + stanza.valueBytes)
        }
        return !recipients.contains(stanza.valueHash)
            && RecipientLists.isAcceptable(count: stanzas + 1, bytes: recipientBytes + stanza.valueBytes)
    }

    /// Adds what ``takes(_:)`` said yes to.
    package mutating func add(_ stanza: FoldableStanza) {
        if stanzas == 1, let template {
            recipientBytes = template.valueBytes
            recipients.insert(template.valueHash)
        }
        stanzas += 1
        recipientBytes += stanza.valueBytes
        recipients.insert(stanza.valueHash)
    }

    /// Adds a stanza where that can be.
    package mutating func addIfLike(_ stanza: Stanza) -> Bool {
        guard let stanza = FoldableStanza(stanza), isLike(stanza), takes(stanza) else { return false }
        add(stanza)
        return true
    }
}
