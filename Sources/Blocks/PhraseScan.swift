import NIOCore

/// Finds the phrases that a history defines, so that a new context begins with the table that both ends can know.
///
/// A history may begin in the middle of anything and may be chosen by the peer: what looks like a definition counts as
/// one, at both ends alike, and what does not is passed over.
struct PhraseScan {
    struct Definition {
        var slot: Int
        var phrase: ArraySlice<UInt8>
        /// Where the definition begins in the history.
        var offset: Int
    }

    /// The definitions in `history`, in order.
    static func definitions(in history: [UInt8]) -> [Definition] {
        var found: [Definition] = []
        var index = 0
        while index + 3 < history.count {
            guard history[index] == TextMark.define, let slot = slot(history[index + 1], history[index + 2]) else {
                index += 1
                continue
            }
            let start = index + 3
            var end = start
            while end < history.count, end - start < ContextLimits.phraseBytes, isPhraseByte(history[end]) { end += 1 }
            if end < history.count, end > start, history[end] == TextMark.stop {
                found.append(Definition(slot: slot, phrase: history[start..<end], offset: index))
                index = end
            }
            index += 1
        }
        return found
    }

    /// What a phrase may hold: text, ids, values and the recipient; no other phrase.
    static func isPhraseByte(_ byte: UInt8) -> Bool {
        switch byte {
        case TextMark.recipient, TextMark.value, TextMark.lastID, TextMark.recentID, TextMark.uuid,
            TextMark.capitalUUID, TextMark.hexadecimal, TextMark.capitalHexadecimal, TextMark.base64URL,
            TextMark.base64, TextMark.nearID, TextMark.nextLowerID, TextMark.nextUpperID:
            true
        default: TextMark.isLiteral(byte)
        }
    }

    static func slot(_ mark: UInt8, _ byte: UInt8) -> Int? {
        guard mark >= TextMark.firstReference, mark <= TextMark.lastReference, byte >= 0x20 else { return nil }
        return Int(mark - TextMark.firstReference) * ContextLimits.slotsPerMark + Int(byte - 0x20)
    }

    static func bytes(ofSlot slot: Int) -> (UInt8, UInt8) {
        let (mark, byte) = slot.quotientAndRemainder(dividingBy: ContextLimits.slotsPerMark)
        return (TextMark.firstReference + UInt8(truncatingIfNeeded: mark), 0x20 + UInt8(truncatingIfNeeded: byte))
    }
}
