import DequeModule
package import NIOCore
package import Outbox
import XMPP

/// One peer's end of the Skywave link protocol, both directions (docs/link-protocol.md).
///
/// The owner keeps the stanzas and their numbers; this machine turns them into blocks, says what the other side has, and
/// turns blocks into stanzas that were never seen before. A *session* lasts as long as a connection of the transport.
///
/// Inputs are the methods in the past tense. After each the owner takes ``takeRecords()``, to be committed in one batch with
/// what the events cause, and draws ``nextEvent()``.
///
/// Nothing is promised by this machine alone: a block with new numbers or an opening leaves when the numbering is durable, and
/// what was received is acknowledged when the owner has said that it is.
package struct LinkSession: ~Copyable {
    let configuration: LinkSessionConfiguration
    var sending: SendingState
    var receiving: ReceivingState
    /// Text of ours that the other side has acknowledged.
    var sentText = LinkText(keep: LinkText.window)
    var receivedText: LinkText
    var events: Deque<LinkSessionEvent> = []
    var records: [JournalRecord] = []
    private var random: UInt64
    /// Names this run of the process.
    private let process: UInt32

    /// Acknowledged text that both ends keep, in bytes.
    package static let keptText = LinkText.window

    // MARK: This session, sending
    var isConnected = false
    /// The next normal block carries the opening.
    var needsOpening = false
    /// The opening of this session, for its repeat.
    var opening: SessionOpening?
    /// The opening of this session was made before the epoch was known that the other side is in, or many sessions ago.
    var needsRenewal = false
    /// The next header carries the opening once more, with what is known now of the other side.
    var isRenewalDue = false
    var outgoing = [OutgoingLane(), OutgoingLane()]
    var encoders: [EncoderBox?] = []
    /// The preset dictionary was refused, or the history was damaged.
    var refusedDictionary = false
    var refusals = 0
    /// How often in a row the peer made us begin another session on this connection, with nothing acknowledged in between.
    var beginnings = 0
    /// Two sides that were both restored from copies settle after two or three.
    static let maximumBeginnings = 16
    /// After so many sessions the low bits that headers have of them are the same again.
    static let distinctSessions: UInt64 = 16
    var unacknowledgedText = 0
    /// Since when the transport has had nothing to do; nil while it works on blocks.
    var idleSince: NIODeadline?
    /// The transport has brought the first block of this session to where the other side is.
    var isFirstBlockBrought = false
    /// Which stanza is being sent in parts, and how far it has got.
    var part: (number: UInt64, offset: Int)?
    /// What the other side has of a stanza sent in parts.
    var resumablePart: (number: UInt64, offset: Int)?
    var pendingRefusal: SessionRefusal?
    /// Canonical bytes of stanzas per byte on the wire, by experience.
    var ratio = 3.0

    /// Blocks of this context refer to nothing before them, whatever the lane: for what must not share a history.
    package static let contextWithoutHistory = UInt8.max

    // MARK: This session, receiving
    /// The session of the other side that is being read; 0 for none.
    var peerSession: UInt64 = 0
    /// The highest session of ours that an opening of ``peerSession`` named, with its epoch; 0 for none.
    var namedByPeer: (epoch: UInt64, session: UInt64) = (0, 0)
    /// The other side was told on this connection that its opening did not come.
    var hasAskedForOpening = false
    /// A session of the other side that was refused in the middle.
    var unreadableSession: UInt64?
    var incoming = [IncomingLane(), IncomingLane()]
    var decoders: [DecoderBox?] = []
    var peerDictionary: ByteBuffer?
    /// Positions after each of the last normal blocks of context 0, with the count of blocks up to there.
    var blockEnds: Deque<(count: UInt64, position: UInt64)> = []
    var uncommitted: Deque<(ordinal: UInt64, lane: Lane)> = []
    var nextOrdinal: UInt64 = 1
    var fragments = FragmentAssembly()
    /// When an acknowledgement leaves by itself.
    var acknowledgementDeadline: NIODeadline?
    var owesExpressAcknowledgement = false
    /// When the other side last showed that it reads this session.
    var heardAt: NIODeadline?
    /// Blocks of the other side wait unread, since when; it has to hear now and then that this side lives.
    private var heldSince: NIODeadline?
    /// When a header last left.
    var lastHeader: NIODeadline?

    /// - Parameters:
    ///   - recovered: what the journal held; pass a fresh one for a link without a journal.
    ///   - random: a random number for new epochs, from the system's generator.
    package init(_ configuration: LinkSessionConfiguration, recovered: RecoveredPeer, random: UInt64) {
        self.configuration = configuration
        self.random = random
        process = UInt32(truncatingIfNeeded: (random ^ (random >> 31)) &* 0x9E37_79B9_7F4A_7C15 >> 32) | 1
        receivedText = LinkText(keep: LinkText.window + configuration.windowText + (256 << 10))
        receiving = ReceivingState(recovered.values[.receiving]) ?? ReceivingState()
        if !recovered.needsNewEpoch, let known = SendingState(recovered.values[.sending]) {
            sending = known
            sending.began(process)
            for row in recovered[.sentText] { sentText.restore(row.payload, endingAt: row.id) }
        } else {
            sending = SendingState(epoch: 1)
            // Which sessions the runs before had is not known, and blocks of theirs may still be on their way.
            sending.session = (random >> 24) % (Self.distinctSessions - 1)
            beginEpoch()
        }
        for row in recovered[.receivedText] { receivedText.restore(row.payload, endingAt: row.id) }
        // In a copy that was restored, the stanza of these parts may have come as a whole since.
        if !recovered.needsNewEpoch { fragments = FragmentAssembly(recovered[.fragments]) }
        if fragments.number != receiving.received[0] + 1 {
            fragments = FragmentAssembly()
            if !recovered[.fragments].isEmpty { records.append(.removeAbove(.fragments, id: 0)) }
        }
    }

    // MARK: The connection

    /// The transport is up: a session begins. The first block may be sent once the records are durable.
    package mutating func connected(now: NIODeadline) {
        isConnected = true
        peerSession = 0
        unreadableSession = nil
        hasAskedForOpening = false
        pendingRefusal = nil
        beginnings = 0
        heardAt = nil
        heldSince = nil
        idleSince = now
        beginSession()
    }

    package mutating func disconnected(now: NIODeadline) {
        isConnected = false
        peerSession = 0
        needsOpening = false
        encoders = []
        decoders = []
        resetOutgoing()
        resetIncoming()
        acknowledgementDeadline = nil
        owesExpressAcknowledgement = false
        heldSince = nil
    }

    /// Whether the transport has nothing of ours to work on. True from the beginning; transports that cannot tell never say so.
    package mutating func transportTurned(isIdle: Bool, now: NIODeadline) {
        idleSince = isIdle ? idleSince ?? now : nil
    }

    /// The transport has all of the blocks of the lane that it was given, and they are on their way or about to be: what becomes of
    /// them is waited for from now on (``LinkSessionConfiguration/waitsForTransport``).
    package mutating func blocksTaken(_ lane: Lane, now: NIODeadline) {
        guard configuration.waitsForTransport else { return }
        let index = Int(lane.rawValue)
        for place in outgoing[index].unacknowledged.indices where !outgoing[index].unacknowledged[place].isTaken {
            outgoing[index].unacknowledged[place].taken(now: now)
        }
    }

    /// The transport has brought the first block of this session to where the other side is; whether it has read it is not known.
    package mutating func firstBlockBrought() { isFirstBlockBrought = true }

    /// Whether no block but the first of this session was cut in the normal lane.
    package var hasCutFirstBlockOnly: Bool { outgoing[0].count == 1 }

    /// The owner keeps blocks unread, or has given all of them to ``blockReceived(_:now:)``.
    package mutating func blocksHeld(_ areHeld: Bool, now: NIODeadline) {
        heldSince = areHeld && isConnected ? heldSince ?? now : nil
    }

    package mutating func nextEvent() -> LinkSessionEvent? { events.popFirst() }

    /// Changes of this machine's own durable state since the last call.
    package mutating func takeRecords() -> [JournalRecord] {
        guard !records.isEmpty else { return [] }
        defer { records = [] }
        return records
    }

    // MARK: Time

    /// When ``nextServiceBlock(now:willCut:)`` will have something by itself, or a dead link is to be noticed; what is overdue
    /// is not counted, since it waits for the transport, which may never take it.
    package func nextDeadline(after now: NIODeadline) -> NIODeadline? {
        guard isConnected else { return nil }
        var next: NIODeadline?
        func consider(_ deadline: NIODeadline?) {
            if let deadline, deadline > now { next = min(next ?? deadline, deadline) }
        }
        consider(acknowledgementDue)
        for lane in Lane.allCases {
            guard let oldest = outgoing[Int(lane.rawValue)].unacknowledged.first else { continue }
            consider(repeatDeadline(oldest, lane))
            consider(deathDeadline(oldest))
        }
        return next
    }

    /// When an acknowledgement leaves by itself: soon after what it is for, and while blocks wait unread often enough that the
    /// other side does not take this one for dead.
    var acknowledgementDue: NIODeadline? {
        guard let heldSince, peerSession != 0, let deadAfter = configuration.deadAfter else { return acknowledgementDeadline }
        let notice = max(heldSince, lastHeader ?? heldSince) + .nanoseconds(deadAfter.nanoseconds / 3)
        return acknowledgementDeadline.map { min($0, notice) } ?? notice
    }

    /// When the connection is taken for dead: nothing was acknowledged, and nothing else heard, for so long.
    private func deathDeadline(_ oldest: OutgoingLane.Block) -> NIODeadline? {
        guard oldest.isTaken else { return nil }
        return configuration.deadAfter.map { max(oldest.firstSent, heardAt ?? oldest.firstSent) + $0 }
    }

    /// A deadline has come.
    package mutating func deadlineReached(now: NIODeadline) {
        guard isConnected else { return }
        for lane in outgoing {
            guard let oldest = lane.unacknowledged.first, let deadline = deathDeadline(oldest), deadline <= now else { continue }
            events.append(.failed(.silent))
            return
        }
    }

    /// The block by which a side that cannot read the first block of the other says which version it speaks.
    package static var versionRefusal: ByteBuffer {
        var header = BlockHeader(session: 0, acknowledgedSession: 0, acknowledgedNormal: 0)
        header.opening = .refusal(.version(BlockOpening.version))
        var block = ByteBuffer()
        header.encode(into: &block)
        return block
    }

    // MARK: Status

    /// The number that the next stanza of a lane gets.
    package func nextNumber(_ lane: Lane) -> UInt64 { sending.highest[Int(lane.rawValue)] + 1 }
    package var unacknowledgedBlocks: Int { outgoing[0].unacknowledged.count + outgoing[1].unacknowledged.count }
    package var epoch: UInt64 { sending.epoch }
    package var sessionNumber: UInt64 { sending.session }
    /// True when the other side's opening was read on this connection.
    package var isPeerRecognised: Bool { peerSession != 0 }

    // MARK: Sessions and epochs

    mutating func beginSession() {
        sending.session += 1
        // Low bits of 0 say in headers that no session is read.
        if sending.session & 0x0F == 0 { sending.session += 1 }
        records.append(sending.record)
        resetOutgoing()
        encoders = []
        needsOpening = true
        events.append(.sessionStarted)
    }

    /// The numbering so far is void: a journal that is new or older than what the peer has seen.
    mutating func beginEpoch() {
        random = random &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
        var mixed = random ^ (random >> 32)
        mixed = mixed &* 0xff51_afd7_ed55_8ccd
        let session = sending.session
        sending = SendingState(epoch: mixed ^ (mixed >> 29))
        // Blocks of the epoch before may still be on their way, and their headers name a session by four bits alone.
        sending.session = session
        sending.process = process
        records.append(sending.record)
        resumablePart = nil
        forgetSentText()
        // It was about a stanza of the numbering that is void.
        resumablePart = nil
        events.append(.epochStarted)
    }

    /// Our journal turned out to be older than what the other side has seen.
    mutating func beginEpochAfterRestore() {
        note(.selfRestored)
        // Their stanza may have come as a whole since.
        records += fragments.clear()
        beginEpoch()
        beginSession()
    }

    /// The other side has read something of this run: what it has received says enough of all the runs before.
    mutating func processWasRead() {
        guard !sending.runs.isEmpty else { return }
        sending.runs = []
        records.append(sending.record)
    }

    mutating func forgetSentText() {
        sentText.clear()
        records.append(.removeAbove(.sentText, id: 0))
    }

    mutating func note(_ note: LinkSessionNote) { events.append(.noted(note)) }

    private mutating func resetOutgoing() {
        outgoing = [OutgoingLane(), OutgoingLane()]
        opening = nil
        isFirstBlockBrought = false
        needsRenewal = false
        isRenewalDue = false
        part = nil
        unacknowledgedText = 0
    }

    mutating func resetIncoming() {
        incoming = [IncomingLane(), IncomingLane()]
        uncommitted = []
        blockEnds = []
        peerDictionary = nil
    }
}

/// What was sent in one lane of this session.
struct OutgoingLane {
    struct Block {
        var number: UInt64
        /// The highest number that this block completes.
        var lastNumber: UInt64?
        var context: UInt8
        /// For the history; kept for context 0 of the normal lane.
        var text: ByteBuffer?
        var textBytes: Int
        var body: BlockHeader.Body
        /// For a repeat; empty where the transport loses nothing.
        var bytes = ByteBuffer()
        /// Since when it is waited for: cut, or taken by a transport that says so.
        var firstSent: NIODeadline
        var lastSent: NIODeadline
        /// The transport works on it no longer, as far as it says.
        var isTaken: Bool
        var isRepeated = false
        /// Missing at the other side for certain: it goes again at once.
        var isMissing = false

        mutating func taken(now: NIODeadline) {
            isTaken = true
            // What it waited for the transport does not count.
            firstSent = firstSent + (now - lastSent)
            lastSent = now
        }
    }

    /// Blocks cut so far.
    var count: UInt64 = 0
    var acknowledged: UInt64 = 0
    var unacknowledged: Deque<Block> = []
    /// The last number cut in this session; nil before the first.
    var lastNumber: UInt64?
}

/// What was received in one lane of the other side's session.
struct IncomingLane {
    /// Blocks read, in order.
    var count: UInt64 = 0
    /// Of those, blocks whose content is durable.
    var committed: UInt64 = 0
    /// The number of the next stanza; nil before the first.
    var nextNumber: UInt64?
    /// Blocks that arrived before an earlier one.
    var early: [UInt64: (body: BlockHeader.Body, bytes: ByteBuffer)] = [:]
    var earlyBytes = 0
}

/// Holds a value that cannot be copied.
final class EncoderBox {
    var encoder: BodyEncoder
    init(_ encoder: consuming BodyEncoder) { self.encoder = encoder }
}

final class DecoderBox {
    var decoder: BodyDecoder
    init(_ decoder: consuming BodyDecoder) { self.decoder = decoder }
}
