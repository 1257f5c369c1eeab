import Blocks
import BridgeCore
import NIOCore
import Outbox
import Profiles
import XMPP

/// Everything that a bridge does with what its own server writes, but for the sockets and the journal: parse, check against
/// the agreement, queue, batch, compress.
final class OutboundPath {
    /// What the link takes at a time.
    static let batchStanzas = 64

    private let reader = StreamReader(limits: .local, root: .received)
    private let encoder: LinkStreamEncoder
    private var machine: PeerStateMachine
    /// Dialect `skywave`: the other end, which acknowledges.
    private var receiver: AcknowledgingPeer?
    private var output = ByteBuffer()
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private(set) var sentStanzas = 0
    private(set) var linkBytes: UInt64 = 0
    /// IQ answers: nobody asked for them here, so the machine discards them as it must.
    private(set) var unaskedAnswers = 0
    /// Presences that a newer one replaced before they left.
    private(set) var superseded = 0
    /// Why stanzas did not cross, and what was folded.
    private(set) var events: [PeerStatus.EventCount] = []

    /// - Parameter profile: what may cross; with one, ids are folded and presence is remembered as its bridge would.
    init(
        localDomains: [String], remoteDomains: [String], level: Int32, dialect: LinkDialect,
        profile: CompiledProfile? = nil
    ) {
        var policy = PeerPolicy(
            name: "bench", localDomains: localDomains.compactMap { Domain($0) },
            remoteDomains: remoteDomains.compactMap { DomainPattern($0) })
        policy.dialect = dialect
        policy.batchStanzas = Self.batchStanzas
        // Batches shall be full: bytes do not limit them, and time does.
        policy.batchBytes = 1 << 20
        policy.blockBytes = 1 << 20
        policy.linkSession.level = level
        if let profile {
            policy.profile = profile
            policy.foldsIDs = true
            policy.cachesPresence = true
        }
        machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: 1)
        encoder = LinkStreamEncoder(compression: .deflate(level: level))
        machine.linkConnected(now: now)
        if dialect == .skywave { receiver = AcknowledgingPeer() }
        // A first batch, so that from here on batches wait for their hold time.
        machine.linkReady(now: now)
        perform()
    }

    /// Takes one read of the server's stream.
    func read(_ bytes: inout ByteBuffer) {
        reader.read(&bytes)
        while let event = reader.nextEvent() {
            guard case .stanza(let stanza) = event else { continue }
            if stanza.isIQAnswer { unaskedAnswers += 1 }
            machine.localStanzaReceived(stanza, receipt: nil, now: now)
            perform()
        }
    }

    /// Sends what is left in the last batch.
    func finish() {
        now = now + .seconds(1)
        machine.deadlineReached(now: now)
        perform()
        let status = machine.snapshot
        superseded = Int(status.supersededPresences)
        events = status.events
        if receiver != nil { sentStanzas = Int(status.sent.total) }
    }

    private func perform() {
        while let action = machine.nextAction() {
            switch action {
            case .send(let batch), .sendUrgent(let batch):
                output.clear()
                encoder.encode(batch, into: &output)
                linkBytes += UInt64(output.readableBytes)
                sentStanzas += batch.count
                machine.linkReady(now: now)
            case .sendBlock(let block, _):
                linkBytes += UInt64(block.readableBytes)
                receiver?.blockReceived(block)
                machine.linkReady(now: now)
                if let acknowledgement = receiver?.acknowledgement() { machine.linkBlockReceived(acknowledgement, now: now) }
            case .arm, .disarm, .wantLink, .deliver, .note, .failLink, .handled, .holdLink, .stopReading:
                break
            }
        }
    }
}

/// As much of the other end as it takes to keep a window open: it answers the opening, reads headers and acknowledges every
/// eighth block.
private struct AcknowledgingPeer {
    private var blocks: [UInt8] = [0, 0]
    private var unacknowledged = 0
    private var session: UInt8 = 0
    /// Names the session that it reads; nil when that was said.
    private var opening: SessionOpening?

    mutating func blockReceived(_ block: ByteBuffer) {
        var block = block
        guard let header = try? BlockHeader(reading: &block), let body = header.body else { return }
        if case .session(let read) = header.opening {
            var own = SessionOpening(epoch: 1, session: 1)
            own.process = 1
            own.peerEpoch = read.epoch
            own.peerSession = read.session
            own.readsPeerSession = true
            own.peerProcess = read.process
            opening = own
        }
        session = header.session
        blocks[Int(body.lane.rawValue)] &+= 1
        unacknowledged += 1
    }

    mutating func acknowledgement() -> ByteBuffer? {
        guard opening != nil || unacknowledged >= 8 else { return nil }
        unacknowledged = 0
        var header = BlockHeader(session: 1, acknowledgedSession: session, acknowledgedNormal: blocks[0])
        header.acknowledgedExpress = blocks[1]
        var body = ByteBuffer()
        if let own = opening {
            // Its first block, in which nothing is.
            opening = nil
            header.opening = .session(own)
            body.writeInteger(UInt8(0))
            header.body = BlockHeader.Body()
            header.body?.length = body.readableBytes
        }
        var buffer = ByteBuffer()
        header.encode(into: &buffer)
        buffer.writeImmutableBuffer(body)
        return buffer
    }
}
