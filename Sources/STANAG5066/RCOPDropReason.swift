/// Why something that came in over RCOP was not passed on.
package enum RCOPDropReason: Int, CaseIterable, Error, Sendable {
    // MARK: Single U_PDUs
    /// Shorter than the header.
    case tooShort
    /// Another application than the agreed one.
    case foreignApplication
    /// Its source is new, and there are as many as may be, all in the middle of a unit.
    case tooManySources
    /// The same segment has arrived before; nothing is lost.
    case duplicate
    /// Of a unit that was given up.
    case abandoned

    // MARK: Whole units
    /// Its beginning is not what the framing demands.
    case malformed
    /// Delimited, but in a format that is not known: of another version, or XML.
    case unknownFormat
    /// No bytes at all, or nothing but white space, where a stanza is to be.
    case empty
    /// A closing tag of a stream alone, which has no place here (XEP-0365 knows stanzas only) and does no harm.
    case closingTag
    /// Longer than the limit.
    case tooLarge
    /// Nothing more of it came for too long.
    case timedOut
    /// A new unit began before its end (XML only).
    case truncated
    /// Another unit with the same number began: the sender has started again.
    case superseded
    /// All segments came, but they do not belong together.
    case badChecksum
    /// It waited longest when too much was held.
    case memory

    /// Whether something is gone that was meant to arrive.
    package var isLoss: Bool {
        switch self {
        case .tooShort, .foreignApplication, .duplicate, .abandoned, .empty, .closingTag: false
        case .tooManySources, .malformed, .unknownFormat, .tooLarge, .timedOut, .truncated, .superseded, .badChecksum,
            .memory:
            true
        }
    }
}
