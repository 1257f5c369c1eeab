import Blocks
import BridgeCore
import NIOCore
import Outbox
import XMPP

/// Everything that a bridge does with what its own server writes, but for the sockets: parse, check against the
/// agreement, queue, batch, compress.
final class OutboundPath {
    /// What the link takes at a time.
    static let batchStanzas = 64

    private let reader = StreamReader(limits: .local, root: .received)
    private let encoder: LinkStreamEncoder
    private var machine: PeerStateMachine
    private var output = ByteBuffer()
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private(set) var sentStanzas = 0
    /// IQ answers: nobody asked for them here, so the machine discards them as it must.
    private(set) var unaskedAnswers = 0

    init(localDomains: [String], remoteDomains: [String], level: Int32) {
        var policy = PeerPolicy(
            name: "bench", localDomains: localDomains.compactMap { Domain($0) },
            remoteDomains: remoteDomains.compactMap { DomainPattern($0) })
        policy.batchStanzas = Self.batchStanzas
        // Batches shall be full: bytes do not limit them, and time does.
        policy.batchBytes = 1 << 20
        machine = PeerStateMachine(policy: policy, clock: ServiceClock(now: now), now: now, random: 1)
        encoder = LinkStreamEncoder(compression: .deflate(level: level))
        machine.linkConnected(now: now)
        // A first batch, so that from here on batches wait for their hold time.
        machine.linkReady(now: now)
    }

    var linkBytes: UInt64 { encoder.byteCounts.encoded }

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
    }

    private func perform() {
        while let action = machine.nextAction() {
            switch action {
            case .send(let batch):
                output.clear()
                encoder.encode(batch, into: &output)
                sentStanzas += batch.count
                machine.linkReady(now: now)
            case .arm, .disarm, .wantLink, .deliver, .note, .failLink, .sendBlock, .handled, .holdLink:
                break
            }
        }
    }
}
