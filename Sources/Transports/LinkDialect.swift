/// What a link carries (design §7). The agreement of both sites names it; it is never negotiated.
package enum LinkDialect: String, Equatable, Sendable {
    /// A stream of stanzas as in XEP-0361.
    case xep
    /// Blocks of the Skywave link protocol (docs/link-protocol.md).
    case skywave
}
