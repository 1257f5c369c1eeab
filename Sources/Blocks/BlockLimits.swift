/// What a block from the link may expand to (docs/lessons.md, d8). The defaults are constants of version 1 of the link
/// protocol: the sender keeps them, so that no user can make a block that the other side refuses.
package struct BlockLimits: Equatable, Sendable {
    /// Bytes of the whole block on the wire.
    package var blockBytes = 1 << 20
    /// Bytes of text that one block may expand to, and bytes of all stanzas made of that text.
    package var textBytes = 4 << 20
    /// Stanzas that one block may hold, expanded recipient lists included.
    package var stanzas = 4_096
    /// Bytes of one stanza.
    package var stanzaBytes = 524_288
    /// Bytes that a block may expand to for each of its own, beyond ``allowanceBytes``. Real traffic stays below 100.
    package var ratio = 200
    /// Bytes that any block may expand to: more than the largest stanza.
    package var allowanceBytes = 1 << 20

    package init() {}

    /// Bytes that a body of this size may expand to.
    func expandedBytes(forBodyBytes bytes: Int) -> Int {
        min(textBytes, allowanceBytes + min(bytes, blockBytes) * ratio)
    }

    /// The least size of a body that may expand to so many bytes.
    func bodyBytes(forExpandedBytes bytes: Int) -> Int {
        bytes <= allowanceBytes ? 0 : (bytes - allowanceBytes + ratio - 1) / ratio
    }
}
