import Blocks
import NIOCore
import Outbox
import XMPP

/// Two ends of a Skywave link without the rest: what one cuts, the other reads and acknowledges.
final class LinkPair {
    private var near: LinkSession
    private var far: LinkSession
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    /// Of the last acknowledgement that went alone.
    private(set) var acknowledgementBytes = 0
    /// Of the last opening, that is of the first block of a session beyond the same block in the middle.
    private(set) var openingBytes = 0

    init(dictionary: BlockDictionary? = nil) {
        var configuration = LinkSessionConfiguration()
        configuration.level = 9
        configuration.dictionary = dictionary
        near = LinkSession(configuration, recovered: RecoveredPeer(), random: 1)
        far = LinkSession(configuration, recovered: RecoveredPeer(), random: 2)
        connect()
    }

    /// A new connection; the far side's opening goes alone, the near side's with its first block.
    func connect() {
        near.disconnected(now: now)
        far.disconnected(now: now)
        near.connected(now: now)
        far.connected(now: now)
        if let opening = far.nextServiceBlock(now: now, willCut: false) { near.blockReceived(opening, now: now) }
        drain()
    }

    /// Sends a block of stanzas; it is read, made durable and acknowledged.
    ///
    /// - Returns: its bytes on the wire, header included.
    func send(_ stanzas: some Collection<Stanza>) -> Int {
        let block = near.cut(
            stanzas.map { OutgoingStanza(stanza: $0, ageSeconds: 0) }, lane: .normal, firstNumber: near.nextNumber(.normal), now: now)
        var header = block
        if let read = try? BlockHeader(reading: &header), read.opening != nil {
            var bare = read
            bare.opening = nil
            var buffer = ByteBuffer()
            bare.encode(into: &buffer)
            openingBytes = block.readableBytes - header.readableBytes - buffer.readableBytes
        }
        far.blockReceived(block, now: now)
        drain()
        now = now + .seconds(1)
        if let acknowledgement = far.nextServiceBlock(now: now, willCut: false) {
            acknowledgementBytes = acknowledgement.readableBytes
            near.blockReceived(acknowledgement, now: now)
        }
        drain()
        return block.readableBytes
    }

    private func drain() {
        while let event = near.nextEvent() {
            if case .failed(let failure) = event { preconditionFailure("the link failed: \(failure)") }
        }
        while let event = far.nextEvent() {
            switch event {
            case .received(_, let ordinal): far.committed(ordinal, now: now)
            case .failed(let failure): preconditionFailure("the link failed: \(failure)")
            case .acknowledged, .sessionStarted, .epochStarted, .peerRecognised, .noted: break
            }
        }
        _ = near.takeRecords()
        _ = far.takeRecords()
    }
}
