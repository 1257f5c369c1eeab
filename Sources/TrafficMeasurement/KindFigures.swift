/// What became of stanzas of one kind, or of all.
package struct KindFigures: Equatable, Sendable {
    package var stanzasIn = 0
    /// As their servers wrote them.
    package var bytesIn = 0
    /// Stanzas that other servers got.
    package var stanzasOut = 0
    /// Not sent on, and nobody needs to be told.
    package var dropped = 0
    /// Sent with less in them.
    package var folded = 0
    /// Requests that the near bridge refused for the far side.
    package var refused = 0
    /// Requests and probes that the near bridge answered itself.
    package var answeredLocally = 0
    /// Replaced by a newer one, known to the other side already, or sent together with others that differ in `to` alone.
    package var merged = 0
    /// Recorded answers to requests that were not sent on.
    package var answersTakenOut = 0
    /// The share of the link's bytes, by the share of canonical bytes that were sent.
    package var bytesLink = 0
    /// What these stanzas cost with stream compression (XEP-0138).
    package var bytesCompressedStream = 0
    /// Canonical bytes sent, what goes to many counted once.
    var textSent = 0

    package init() {}

    package static func += (left: inout KindFigures, right: KindFigures) {
        left.stanzasIn += right.stanzasIn
        left.bytesIn += right.bytesIn
        left.stanzasOut += right.stanzasOut
        left.dropped += right.dropped
        left.folded += right.folded
        left.refused += right.refused
        left.answeredLocally += right.answeredLocally
        left.merged += right.merged
        left.answersTakenOut += right.answersTakenOut
        left.bytesLink += right.bytesLink
        left.bytesCompressedStream += right.bytesCompressedStream
        left.textSent += right.textSent
    }
}
