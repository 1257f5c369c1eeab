package import Blocks
package import NIOCore
package import Outbox
package import PresenceCache
package import Profiles
package import XMPP

/// When a batch or block leaves although more would fit into it.
package enum HoldPolicy: Equatable, Sendable {
    /// As soon as the link takes it.
    case turn
    /// At the earliest this long after the one before; the first on an idle link does not wait.
    case time(TimeAmount)
    /// When it would have so many bytes on the wire, or its first stanza has waited for `longest`.
    case bytes(Int, longest: TimeAmount)
}

/// The peering agreement and its limits, as one peer's machine needs them.
package struct PeerPolicy: Sendable {
    /// The peer's name in configuration, status and logs.
    package var name: String
    /// The domains of this site: what may stand in `from` of local stanzas and in `to` of the link's.
    package var localDomains: [Domain]
    /// The domains of the peer: what may stand in `from` of the link's stanzas and in `to` of local ones.
    package var remoteDomains: [DomainPattern]
    /// Domains, of either side, whose addresses are rooms. Others are learnt from traffic.
    package var roomDomains: [Domain]

    /// What crosses and what does not; nil lets everything cross.
    package var profile: CompiledProfile?
    /// Whether ids of local users cross as short tokens (docs/id-folding.md).
    package var foldsIDs = false
    /// Whether the bridge remembers who was told what, so that repeats and what it can answer itself do not cross
    /// (docs/presence.md).
    package var cachesPresence = false
    package var presence = PresencePolicy()
    package var presenceLimits = PresenceLimits()
    /// Whether `min-interval` of the profile holds. Off where recorded traffic is replayed without its times.
    package var spacesPresence = true
    package var dialect = LinkDialect.xep
    /// Whether what the peer's machine decides is recorded in a journal. Without, nothing survives the process.
    package var isJournaled = false

    /// Canonical bytes of all stanzas that wait for the link.
    package var outboxBytes: Int = 64 << 20
    package var outboxStanzas: Int = 100_000
    /// How long a message waits before its sender gets it back.
    package var messageLifetime: TimeAmount = .hours(24)
    /// How long an IQ request may go unanswered, waiting included, before the bridge answers it.
    package var iqTimeout: TimeAmount = .minutes(5)
    /// How long available presence waits before it is dropped.
    package var presenceLifetime: TimeAmount = .minutes(30)

    /// A batch is full at this many canonical bytes; one stanza may be larger.
    package var batchBytes: Int = 32 << 10
    package var batchStanzas: Int = 64
    /// What makes a batch or block wait for more to go with it. Urgent stanzas do not wait where blocks are spoken, or the link
    /// confirms stanzas.
    package var hold = HoldPolicy.time(.milliseconds(20))
    /// Dialect `xep`: the link says of each stanza that it has arrived, or gives it back. Until then its row stays in the journal,
    /// and it counts as waiting. Nodes do; a TCP connection does not, and a stanza is done with when the link wants the next.
    package var confirmsStanzas = false
    /// Whether something urgent ends the waiting for more, in dialect `skywave`.
    package var cutsForUrgency = true
    /// Bytes on the wire that a block should have at most; a stanza that takes more is sent in parts (dialect `skywave`).
    package var blockBytes: Int = 16 << 10
    package var linkSession = LinkSessionConfiguration()

    /// Whether presence that is worth something only while it is fresh is recorded in the journal.
    package var journalsPresence = false
    /// Whether a link that is up leads to the peer, in dialect `skywave`. The bind to a radio's node does not: there the peer has to
    /// be heard. In dialect `xep` that is so where ``confirmsStanzas`` is.
    package var isReachedWhenUp = true
    /// Priorities of the classes, and what counts as urgent.
    package var classes = OutboxClasses()
    /// Stanzas that the local side may have at a time before the local server is responsible for them.
    package var inboxWindow: Int = 256
    /// Canonical bytes and stanzas that may wait for the local server; over either the link is held.
    package var inboxBytes: Int = 16 << 20
    package var inboxStanzas: Int = 20_000

    /// IQ requests that may be unanswered at a time, per direction.
    package var maximumRequests: Int = 16_384
    /// Whether an answer of a local user crosses only where its request came over the link. Off where recorded traffic is
    /// replayed, in which answers may come before a block has brought their requests.
    package var matchesAnswers = true
    /// Rooms remembered, per side.
    package var maximumRooms: Int = 4_096
    /// Violations of the agreement within ``violationWindow`` that end the link (0: never).
    package var violationLimit: Int = 100
    package var violationWindow: TimeAmount = .minutes(10)

    package init(
        name: String, localDomains: [Domain], remoteDomains: [DomainPattern], roomDomains: [Domain] = []
    ) {
        self.name = name
        self.localDomains = localDomains
        self.remoteDomains = remoteDomains
        self.roomDomains = roomDomains
    }

    var outboxLimits: OutboxLimits {
        var limits = OutboxLimits(
            maximumBytes: outboxBytes, maximumStanzas: outboxStanzas, messageLifetime: messageLifetime,
            requestLifetime: iqTimeout, presenceLifetime: presenceLifetime)
        limits.classes = classes
        return limits
    }
}
