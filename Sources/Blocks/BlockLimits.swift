/// What a block from the link may expand to (docs/lessons.md, d8).
package struct BlockLimits: Equatable, Sendable {
    /// Bytes of the whole block on the wire.
    package var blockBytes = 1 << 20
    /// Bytes of text that one block may expand to.
    package var textBytes = 4 << 20
    /// Stanzas that one block may hold, expanded recipient lists included.
    package var stanzas = 4_096
    /// Bytes of one stanza.
    package var stanzaBytes = 524_288

    package init() {}
}
