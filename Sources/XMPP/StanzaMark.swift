/// By what a stanza is known again when its server sends it once more: its ``Stanza/fingerprint``, and what became of it.
package struct StanzaMark: Equatable, Sendable {
    /// 63 bits of the fingerprint. One in a few times 10^18 pairs of stanzas is alike.
    package var fingerprint: UInt64
    /// Its sender was told that it was not taken. He may well send the same again by himself.
    package var isRefused: Bool

    package init?(_ fingerprint: UInt64?, isRefused: Bool = false) {
        guard let fingerprint else { return nil }
        self.fingerprint = fingerprint & ~1
        self.isRefused = isRefused
    }

    /// As the journal keeps it.
    package init(word: UInt64) {
        fingerprint = word & ~1
        isRefused = word & 1 == 1
    }

    package var word: UInt64 { fingerprint | (isRefused ? 1 : 0) }
}
