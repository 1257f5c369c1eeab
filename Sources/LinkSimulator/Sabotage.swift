/// A bridge that is broken on purpose: proof that the checks of the simulation can fail.
package enum Sabotage: String, CaseIterable, Sendable {
    /// A commit is reported as durable before it is.
    case acknowledgesBeforeCommit
    /// Now and then a stanza for the local server is not written.
    case dropsStanza
    /// Now and then a stanza for the local server is written twice.
    case duplicatesStanza
    /// Now and then a stanza for the local server waits until the next one was written.
    case swapsStanzas
    /// A character of a message is changed.
    case garblesMessage
    /// Errors go to rooms.
    case bouncesIntoRoom
    /// Answers to IQ requests are not delivered.
    case dropsAnswer
    /// An IQ answer is given twice.
    case answersTwice
    /// What was delivered is never removed from the inbox.
    case keepsInbox
    /// What the link has acknowledged is never removed from the outbox.
    case keepsOutbox
    /// Nothing is written to the journal, though the bridge is told so.
    case forgetsJournal
    /// The sending end's history differs from the receiving end's.
    case damagesHistory
    /// That an occupant of a room has left is not passed on.
    case dropsRoomPresence
    /// A restored copy comes without what waited for the link.
    case losesRestored
}
