package import LocalAnswers
package import NIOCore
package import Outbox
package import XMPP

/// What `status` shows of one peer.
package struct PeerStatus: Equatable, Sendable {
    package enum Link: String, Equatable, Sendable {
        case down, ready, busy
    }

    /// Stanzas by kind.
    package struct KindCounts: Equatable, Sendable {
        package var messages: UInt64 = 0
        package var presences: UInt64 = 0
        package var iqs: UInt64 = 0

        package var total: UInt64 { messages &+ presences &+ iqs }

        mutating func add(_ kind: StanzaKind, _ count: Int = 1) {
            switch kind {
            case .message: messages &+= UInt64(count)
            case .presence: presences &+= UInt64(count)
            case .iq: iqs &+= UInt64(count)
            case .other: break
            }
        }
    }

    package struct EventCount: Equatable, Sendable {
        package var event: PeerEvent
        package var count: UInt64
    }

    package struct BounceCount: Equatable, Sendable {
        package var condition: StanzaErrorCondition
        package var count: UInt64
    }

    /// What waits, by class.
    package struct ClassStatus: Equatable, Sendable {
        package var stanzaClass: StanzaClass
        package var stanzas: Int
        package var bytes: Int
        package var oldestArrival: NIODeadline?
    }

    /// Something that could not be read and was set aside.
    package struct Poison: Equatable, Sendable {
        package var id: UInt64
        package var bytes: Int
        package var reason: String
        /// Service time in milliseconds.
        package var since: UInt64
    }

    /// The session of a link that speaks blocks.
    package struct Session: Equatable, Sendable {
        package var epoch: UInt64
        package var number: UInt64
        package var isPeerRecognised: Bool
        package var unacknowledgedBlocks: Int
        /// What is worth knowing of the peer's opening.
        package var remark: String?
    }

    package var name: String
    package var link: Link
    /// Given to the link; what came back and was sent again counts again.
    package var sent: KindCounts
    /// Taken from the link and found to keep to the agreement.
    package var received: KindCounts
    package var queuedStanzas: Int
    package var queuedBytes: Int
    /// When the stanza that waits longest came.
    package var oldestArrival: NIODeadline?
    /// IQ requests of local users that the peer has not answered.
    package var pendingLocalRequests: Int
    /// IQ requests of the peer's users that our side has not answered.
    package var pendingRemoteRequests: Int
    package var knownLocalRooms: Int
    package var knownRemoteRooms: Int
    /// Presence that a newer one replaced before it left.
    package var supersededPresences: UInt64
    /// Presence that waited too long.
    package var expiredPresences: UInt64
    /// Every event that ever happened, in the order of ``PeerEvent``.
    package var events: [EventCount]
    /// Every condition that was ever sent, in the order of ``StanzaErrorCondition``.
    package var bounces: [BounceCount]

    /// Since when the link is up or down.
    package var linkSince = NIODeadline.uptimeNanoseconds(0)
    /// In the order of ``StanzaClass``.
    package var classes: [ClassStatus] = []
    /// Cut into blocks and not acknowledged by the peer.
    package var inFlightStanzas = 0
    package var inFlightBytes = 0
    /// Acknowledged by the peer since the start.
    package var acknowledgedStanzas: UInt64 = 0
    /// What waits for the local server, or for its confirmation.
    package var inboxStanzas = 0
    package var inboxBytes = 0
    /// Of these, given to the local side and not confirmed: after a crash they are delivered again.
    package var inboxInDoubt = 0
    /// Users of the peer in rooms of this site, and how many of them are being looked for after a gap.
    package var roomJoins = 0
    package var roomJoinsInRepair = 0
    package var roomCounts = RoomCounts()
    /// What is known for answering in the name of the peer's entities.
    package var answers = LocalAnswerStatus()
    package var isLinkHeld = false
    package var isJournalStalled = false
    /// The newest, a bounded number.
    package var poison: [Poison] = []
    package var traffic = LinkTraffic()
    /// Nil where stanzas are spoken.
    package var session: Session?
    /// Why the link ended last, and what to do, in one sentence.
    package var lastFailure: String?

    package func count(of event: PeerEvent) -> UInt64 { events.first { $0.event == event }?.count ?? 0 }
    package func bounces(with condition: StanzaErrorCondition) -> UInt64 {
        bounces.first { $0.condition == condition }?.count ?? 0
    }
}
