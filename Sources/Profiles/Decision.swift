import XMPP

/// What becomes of one stanza and of what it holds: the verdict before anything is copied.
struct Decision {
    enum Outcome {
        case pass
        case drop(DropReason)
        case refuse(Refusal)
        case answerLocally(Refusal?)
        /// Something else crosses in its place.
        case replace(Stanza)
    }

    /// Why the stanza as a whole is treated as it is; for explaining.
    enum Cause: Equatable {
        /// The kind of stanza always crosses as it is.
        case untouched
        /// An element decided.
        case element(Int, code: Int)
        /// The bytes of an element or of the whole.
        case textLimit(Int)
        case stanzaLimit
        case mode
        case serverOwned
        case nothingLeft
    }

    var outcome = Outcome.pass
    var edits = StanzaEdits()
    /// Text that a person wrote was cut.
    var isTruncated = false
    /// The result of the edits, where it was needed to decide.
    var folded: Stanza?
    var cause: Cause?
    /// What the near server alone may say, with all that a remote user wrote of it.
    var serverOwned = ElementSet()
    var historyIsLimited = false
}
