import Blocks
import XMPP

/// Which compression context a stanza belongs to: texts of different security labels never share a history, or the length
/// of one would tell of another (docs/lessons.md, d10).
struct LabelContexts {
    /// More label sets than this in one session get no history at all. Greater than the number of blocks that may be
    /// unacknowledged, so that what was cut once always finds a context again in the next session.
    static let maximum = 128
    /// What has no history of its own.
    static let overflow = LinkSession.contextWithoutHistory
    /// Labels of more bytes get none either: a user may write what he likes into them, and they are remembered here.
    static let longest = 4_096

    private var numbers: [String: UInt8] = [:]

    /// A session begins, in which both ends know no context yet.
    mutating func reset() { numbers = [:] }

    /// 0 for a stanza without labels, else the number of its label set; ``overflow`` when there are too many.
    mutating func context(of stanza: Stanza) -> UInt8 {
        guard stanza.hasChild(.securityLabel) else { return 0 }
        let labels = stanza.root.children.filter { $0.interned == .securityLabel }.map(\.xml).joined()
        if let number = numbers[labels] { return number }
        guard numbers.count < Self.maximum, labels.utf8.count <= Self.longest else { return Self.overflow }
        let number = UInt8(truncatingIfNeeded: numbers.count + 1)
        numbers[labels] = number
        return number
    }
}
