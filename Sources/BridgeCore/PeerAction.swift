import Blocks
package import NIOCore
package import XMPP

/// What the runtime has to do for a ``PeerStateMachine``.
package enum PeerAction: Equatable, Sendable {
    /// Give one batch to the link (dialect `xep`). The next follows only after `linkReady`.
    case send([Stanza])
    /// Give one batch to the link before what it was given earlier and has not handed on (dialect `xep`); after
    /// `linkReadyForUrgent`.
    case sendUrgent([Stanza])
    /// Give one block to the link (dialect `skywave`). The next follows only after `linkReady`. A block is urgent when it
    /// carries something that must not wait for a turn.
    case sendBlock(ByteBuffer, isUrgent: Bool)
    /// Give a stanza to the local server. `id` is its place in the inbox: say by `delivered` when the local server is
    /// responsible for it. Nil when there is no journal.
    case deliver(Stanza, id: UInt64?)
    /// The stanza with this receipt is the bridge's own now, or was answered: it may be acknowledged (XEP-0198). Refused: it was
    /// never taken, so the same again is not a repeat.
    case handled(LocalReceipt, isRefused: Bool)
    /// True: take nothing more from the link, the inbox is full. False: go on. On a link that speaks blocks the machine keeps
    /// what still comes.
    case holdLink(Bool)
    /// True: read nothing more from the link, which speaks blocks and brings more than a peer may have under way. False: go on.
    case stopReading(Bool)
    /// Something waits and the link is down: dial if nobody does.
    case wantLink
    /// Call `deadlineReached` at this time; replaces an earlier one.
    case arm(NIODeadline)
    /// No call is needed any more.
    case disarm
    /// Something worth a line in the log; without content of stanzas.
    case note(PeerNote)
    /// End the link with this stream error: its peer does not keep to the agreement.
    case failLink(StreamError)
}

/// A count that has grown. Reported at 1, 2, 4, 8 …, so that no peer can flood the log.
package struct PeerNote: Equatable, Sendable, CustomStringConvertible {
    package var event: PeerEvent
    package var count: UInt64

    package var description: String { "\(event.rawValue) (\(count) so far)" }
}

/// What is counted beside ordinary traffic. The raw value is the plain phrase for status and logs.
package enum PeerEvent: String, CaseIterable, Sendable {
    // The peer breaks the agreement.
    case notAStanza = "element on the link that is no stanza"
    case missingAddress = "stanza on the link without valid to and from"
    case ownSideSender = "stanza on the link from one of our own domains"
    case foreignSender = "stanza on the link from a domain that is not the peer's"
    case foreignRecipient = "stanza on the link for a domain that is not ours"
    // The local side breaks it.
    case localNotAStanza = "local element that is no stanza"
    case localMissingAddress = "local stanza without valid to and from"
    case localForeignSender = "local stanza from a domain that is not ours"
    case localForeignRecipient = "local stanza for a domain that is not the peer's"
    // Either.
    case malformedIQ = "IQ without id or without valid type"
    case answerDiscarded = "IQ answer that came too late or was never asked for"
    case requestTableFull = "IQ request refused because too many are unanswered"
    case roomErrorSuppressed = "error for a room suppressed"
    case ghostRemoved = "leave sent to a room for somebody who is gone"
    case roomStanzaLost = "stanza of a room that could not be kept"
    case oversize = "stanza on the link over the size limit"
    // Losses that the sender learns of, or that need no telling.
    case outboxFull = "stanza refused because the outbox is full"
    case expired = "stanza that waited too long"
    case expiredInInbox = "stanza that waited too long for the local server"
    case inDoubt = "stanza in doubt when the link broke"
    case sentTooOften = "stanza given up because the link broke each time it was sent"
    case lostAtShutdown = "stanza given up at shutdown"
    case undeliverable = "stanza that the local server could not take"
    case cancelled = "stanza taken out of the queue by the operator"
    case journalStalled = "stanza refused because the journal takes nothing"
    case inboxFull = "error for a local user lost because the inbox is full"
    // What the profile does.
    case profileFolded = "stanza sent with less in it, by profile"
    case profileTruncated = "text cut, by profile"
    case profileDropped = "stanza of no lasting use not sent, by profile"
    case profileDroppedFromRoom = "stanza of a room not sent, by profile"
    case profileRefused = "stanza returned because the link does not carry it, by profile"
    case answeredLocally = "request answered without the link"
    case spoofedElement = "stanza with what only a server may say"
    // What the memory of presence does.
    case presenceRepeated = "presence not sent because the other side has it"
    case presenceHeld = "presence kept back for its minimum interval"
    case probeAnswered = "probe answered without the link"
    // What could not be read, and was set aside.
    case poison = "stanza on the link set aside because it could not be read"
    case unreadableRow = "row of the journal set aside because it could not be read"
    case setAsideDropped = "stanza set aside that the operator dropped"
    // The link protocol.
    case linkHistoryRefused = "link history that the other side does not have"
    case linkPeerRestored = "peer that began a new epoch"
    case linkSelfRestored = "own journal older than what the peer has seen"
    case linkDuplicateBlock = "block that had arrived already"
    case linkDuplicateStanza = "stanza that had arrived already"
    case linkLateBlock = "block of an earlier session"
    case linkGap = "block missing before one that arrived"
    case linkBlockRepeated = "block sent again"
    case linkNumbersSkipped = "numbers that the peer never sent"
    case linkDamagedBlock = "block that could not be read"
    case linkFailed = "link ended because of what the peer sent, or did not send"
    case bounceBudgetSpent = "error not sent because the budget for errors is spent"

    /// The stream error for a peer that does this again and again; nil for what never ends a link. A wrong recipient does
    /// not: it is a difference between two configurations, which no new link would mend.
    var streamError: StreamErrorCondition? {
        switch self {
        case .ownSideSender, .foreignSender: .invalidFrom
        case .missingAddress: .improperAddressing
        case .notAStanza: .unsupportedStanzaType
        case .foreignRecipient, .localNotAStanza, .localMissingAddress, .localForeignSender, .localForeignRecipient,
            .malformedIQ, .answerDiscarded, .requestTableFull, .roomErrorSuppressed, .ghostRemoved, .roomStanzaLost, .oversize,
            .outboxFull, .expired, .expiredInInbox, .inDoubt, .sentTooOften, .lostAtShutdown, .undeliverable, .bounceBudgetSpent,
            .cancelled, .journalStalled, .inboxFull, .poison, .unreadableRow, .setAsideDropped, .linkHistoryRefused,
            .linkPeerRestored, .linkSelfRestored, .linkDuplicateBlock, .linkDuplicateStanza, .linkLateBlock, .linkGap,
            .linkBlockRepeated, .linkNumbersSkipped, .linkDamagedBlock, .linkFailed, .profileFolded, .profileTruncated,
            .profileDropped, .profileDroppedFromRoom, .profileRefused, .answeredLocally, .spoofedElement,
            .presenceRepeated, .presenceHeld, .probeAnswered:
            nil
        }
    }
}

extension PeerEvent {
    init(_ note: LinkSessionNote) {
        self =
            switch note {
            case .historyRefused: .linkHistoryRefused
            case .peerRestored: .linkPeerRestored
            case .selfRestored: .linkSelfRestored
            case .duplicateBlock: .linkDuplicateBlock
            case .duplicateStanza: .linkDuplicateStanza
            case .lateBlock: .linkLateBlock
            case .gap: .linkGap
            case .blockRepeated: .linkBlockRepeated
            case .numbersSkipped: .linkNumbersSkipped
            case .damagedBlock: .linkDamagedBlock
            }
    }
}
