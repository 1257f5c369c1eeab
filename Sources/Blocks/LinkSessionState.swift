import NIOCore
import Outbox

/// What the sending direction must never forget.
struct SendingState: Equatable {
    /// Names one numbering; never 0.
    var epoch: UInt64
    var session: UInt64 = 0
    /// The highest number ever given, by lane.
    var highest: [UInt64] = [0, 0]

    init(epoch: UInt64) {
        self.epoch = epoch == 0 ? 1 : epoch
    }

    init?(_ bytes: [UInt8]?) {
        guard let bytes else { return nil }
        var buffer = ByteBuffer(bytes: bytes)
        guard let (epoch, session, normal, express) = buffer.readMultipleIntegers(as: (UInt64, UInt64, UInt64, UInt64).self),
            epoch != 0
        else { return nil }
        self.epoch = epoch
        self.session = session
        highest = [normal, express]
    }

    var record: JournalRecord {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(epoch, session, highest[0], highest[1])
        return .set(.sending, Array(buffer.readableBytesView))
    }
}

/// What the receiving direction must never forget.
struct ReceivingState: Equatable {
    /// The epoch of the peer; 0 when nothing was ever received.
    var epoch: UInt64 = 0
    /// The highest session seen of it.
    var session: UInt64 = 0
    /// The highest number received, by lane.
    var received: [UInt64] = [0, 0]
    /// The run of the peer's process that the highest session belongs to.
    var process: UInt32 = 0
    /// Earlier epochs of the peer, the newest last: what is still on its way of them is not taken again.
    var pastEpochs: [UInt64] = []

    private static let keptEpochs = 8

    init() {}

    init?(_ bytes: [UInt8]?) {
        guard let bytes else { return nil }
        var buffer = ByteBuffer(bytes: bytes)
        guard let (epoch, session, normal, express) = buffer.readMultipleIntegers(as: (UInt64, UInt64, UInt64, UInt64).self)
        else { return nil }
        self.epoch = epoch
        self.session = session
        received = [normal, express]
        process = buffer.readInteger() ?? 0
        while let past: UInt64 = buffer.readInteger() { pastEpochs.append(past) }
    }

    mutating func begin(epoch: UInt64) {
        if self.epoch != 0 { pastEpochs.append(self.epoch) }
        if pastEpochs.count > Self.keptEpochs { pastEpochs.removeFirst() }
        self.epoch = epoch
        session = 0
        received = [0, 0]
    }

    var record: JournalRecord {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(epoch, session, received[0], received[1], process)
        for past in pastEpochs { buffer.writeInteger(past) }
        return .set(.receiving, Array(buffer.readableBytesView))
    }
}
