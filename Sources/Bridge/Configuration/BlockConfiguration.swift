package import NIOCore

/// `[peer.block]`: how stanzas become blocks, in dialect `skywave`.
package struct BlockConfiguration: Equatable, Sendable {
    /// When a block is cut.
    package enum Hold: Equatable, Sendable {
        /// When the link can take one.
        case turn
        /// When the link can take one and the first stanza has waited so long, or the block is full.
        case duration(TimeAmount)
        /// When the link can take one and so many bytes wait. The last of them wait for a minute at most.
        case bytes(Int)
    }

    /// `level`: zlib level, 1…9. Default 6.
    package var level = 6
    /// `hold`: `"turn"`, a duration up to 1h, or a size up to `size`. Default `"20ms"`.
    package var hold = Hold.duration(.milliseconds(20))
    /// `size`: bytes of a block on the link, 256 B…256 KiB. Default 16 KiB. A larger stanza is sent in parts.
    package var size = 16 << 10
    /// `pad-to`: blocks are filled up to a multiple of so many bytes, so that their length says less; 16 B…16 KiB, 0 for
    /// not. Default 0.
    package var padTo = 0
    /// `dictionary`: a file that both ends have, for the first contact (`skywave dictionary train`). Default: none.
    package var dictionary: String?

    package init() {}
}
