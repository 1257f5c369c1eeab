/// What is spoken on a link; chosen in the peering agreement, never negotiated.
package enum LinkDialect: String, CaseIterable, Sendable {
    /// XEP-0361: stanzas as XML. At most once, as far as the transport knows.
    case xep
    /// Blocks (docs/link-protocol.md). Exactly once from journal to journal.
    case skywave
}
