import Glibc
package import XMPP

/// A stanza that may cross in one record with others that differ in `to` alone (docs/link-protocol.md, "Recipient lists").
package struct FoldableStanza: Sendable {
    package let stanza: Stanza
    /// Where the value of `to` stands in the canonical bytes.
    let recipient: Range<Int>

    /// Nil for an IQ, whose answer belongs to one request, and for what has no `to`.
    package init?(_ stanza: Stanza) {
        guard stanza.kind == .message || stanza.kind == .presence, let range = stanza.toRange else { return nil }
        self.stanza = stanza
        recipient = range
    }

    /// The value of `to` as it stands between the quotes.
    package var value: [UInt8] {
        unsafe stanza.withBytes { bytes in unsafe Array(bytes[recipient]) }
    }

    /// Bytes of ``value``.
    package var valueBytes: Int { recipient.count }

    /// A hash of ``value``: other hashes, other values.
    var valueHash: UInt64 {
        unsafe stanza.withBytes { bytes in
            var hash = StableHash()
            for index in recipient { unsafe hash.combine(bytes[index]) }
            return hash.value
        }
    }

    /// Bytes behind ``value``: other counts, other stanzas.
    private var restBytes: Int { stanza.byteCount - recipient.upperBound }

    /// Where these differ, ``differsOnlyInRecipient(from:)`` says no. Costs next to nothing.
    package var quickKey: UInt64 {
        let size = UInt64(stanza.kind.rawValue) << 56 | UInt64(restBytes)
        return (size ^ stanza.bareFromHash) &* 0x9E37_79B9_7F4A_7C15
    }

    /// Whether ``likeness`` is the same, which is only reckoned where the sizes allow it.
    package func isAlike(_ other: FoldableStanza) -> Bool {
        stanza.kind == other.stanza.kind && restBytes == other.restBytes && likeness == other.likeness
    }

    /// Equal for stanzas that differ in `to` alone, and seldom for others: made of the sender, the id where that stands in
    /// front, and the end.
    package var likeness: UInt64 {
        unsafe stanza.withBytes { bytes in
            let start = recipient.upperBound
            var hash = UInt64(stanza.kind.rawValue) << 56 | UInt64(bytes.count - start)
            func combine(_ range: Range<Int>) {
                var offset = range.lowerBound
                while offset + 8 <= range.upperBound {
                    let word = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
                    // Else the last bytes of a word would reach the highest bits alone.
                    hash ^= hash >> 32
                    offset += 8
                }
            }
            combine(start..<min(bytes.count, start + 96))
            combine(max(start, bytes.count - 48)..<bytes.count)
            return hash &* 0xFF51_AFD7_ED55_8CCD
        }
    }

    /// Whether both are the same in everything but the value of `to`.
    package func differsOnlyInRecipient(from other: FoldableStanza) -> Bool {
        let count = restBytes
        guard stanza.kind == other.stanza.kind, count == other.restBytes else { return false }
        // What stands before the value is the name of the kind.
        return unsafe stanza.withBytes { mine in
            unsafe other.stanza.withBytes { theirs in
                guard let left = mine.baseAddress, let right = theirs.baseAddress else { return false }
                return unsafe memcmp(left + recipient.upperBound, right + other.recipient.upperBound, count) == 0
            }
        }
    }

    /// Whether the text of a block can spell it for several; canonical stanzas never hold what it cannot.
    var canBeTemplate: Bool {
        unsafe stanza.withBytes { bytes in unsafe !TextWriter.hasMarks(bytes) }
    }
}
