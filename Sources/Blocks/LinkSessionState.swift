import NIOCore
import Outbox

/// A run of a bridge's process, as far as the other side may have heard of it.
package struct ProcessRun: Equatable, Sendable {
    /// Its name, at random; not 0.
    package var process: UInt32
    /// The highest number of each lane that its journal held when it ended.
    package var highest: [UInt64]

    package init(process: UInt32, highest: [UInt64]) {
        self.process = process
        self.highest = highest
    }

    func covers(_ received: [UInt64]) -> Bool { received[0] <= highest[0] && received[1] <= highest[1] }
}

/// What the sending direction must never forget.
struct SendingState: Equatable {
    /// Names one numbering; never 0.
    var epoch: UInt64
    var session: UInt64 = 0
    /// The highest number ever given, by lane.
    var highest: [UInt64] = [0, 0]
    /// The run of the process that this is the state of; 0 for none yet.
    var process: UInt32 = 0
    /// The runs before, the newest first, down to the last one of which the other side is known to have read something.
    var runs: [ProcessRun] = []

    init(epoch: UInt64) {
        self.epoch = epoch == 0 ? 1 : epoch
    }

    init?(_ bytes: [UInt8]?) {
        guard let bytes else { return nil }
        var buffer = ByteBuffer(bytes: bytes)
        guard
            let (epoch, session, normal, express, process) = buffer.readMultipleIntegers(
                as: (UInt64, UInt64, UInt64, UInt64, UInt32).self), epoch != 0
        else { return nil }
        self.epoch = epoch
        self.session = session
        self.process = process
        highest = [normal, express]
        while let (process, normal, express) = buffer.readMultipleIntegers(as: (UInt32, UInt64, UInt64).self) {
            runs.append(ProcessRun(process: process, highest: [normal, express]))
        }
    }

    /// Another run of the process takes over.
    mutating func began(_ process: UInt32) {
        if self.process != 0 {
            runs.insert(ProcessRun(process: self.process, highest: highest), at: 0)
            // The oldest is the one that the other side has certainly read; those after it, mostly not.
            if runs.count > SessionOpening.maximumRuns { runs.remove(at: runs.count - 2) }
        }
        self.process = process
    }

    /// The highest numbers that may have been given by the end of a run; nil when it is not known here.
    func highest(of process: UInt32) -> ProcessRun? {
        if process == self.process { return ProcessRun(process: process, highest: highest) }
        return runs.first { $0.process == process } ?? (runs.count == SessionOpening.maximumRuns ? runs.first : nil)
    }

    var record: JournalRecord {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(epoch, session, highest[0], highest[1], process)
        for run in runs { buffer.writeMultipleIntegers(run.process, run.highest[0], run.highest[1]) }
        return .set(.sending, Array(buffer.readableBytesView))
    }
}

/// What the receiving direction must never forget.
struct ReceivingState: Equatable {
    /// What was received of one epoch of the peer.
    struct Epoch: Equatable {
        /// 0 when nothing was ever received.
        var epoch: UInt64 = 0
        /// The highest session seen of it.
        var session: UInt64 = 0
        /// The highest number received, by lane.
        var received: [UInt64] = [0, 0]
        /// The run of the process that the highest session belongs to.
        var process: UInt32 = 0

        fileprivate init() {}

        fileprivate init?(reading buffer: inout ByteBuffer) {
            guard
                let (epoch, session, normal, express, process) = buffer.readMultipleIntegers(
                    as: (UInt64, UInt64, UInt64, UInt64, UInt32).self)
            else { return nil }
            self.epoch = epoch
            self.session = session
            received = [normal, express]
            self.process = process
        }

        fileprivate func write(to buffer: inout ByteBuffer) {
            buffer.writeMultipleIntegers(epoch, session, received[0], received[1], process)
        }
    }

    private var present = Epoch()
    /// Other epochs of the peer, the last one left last: what is still on its way of them is not taken again. One may be the
    /// peer's present one, where a late block of another has passed for something newer.
    private(set) var past: [Epoch] = []

    var epoch: UInt64 { present.epoch }
    var session: UInt64 {
        get { present.session }
        set { present.session = newValue }
    }
    var received: [UInt64] {
        get { present.received }
        set { present.received = newValue }
    }
    var process: UInt32 {
        get { present.process }
        set { present.process = newValue }
    }

    private static let keptEpochs = 8

    init() {}

    init?(_ bytes: [UInt8]?) {
        guard let bytes else { return nil }
        var buffer = ByteBuffer(bytes: bytes)
        guard let present = Epoch(reading: &buffer) else { return nil }
        self.present = present
        while let epoch = Epoch(reading: &buffer) { past.append(epoch) }
    }

    /// Goes over to another epoch: one that is new, or one that was left before.
    mutating func begin(epoch: UInt64) {
        let known = past.firstIndex { $0.epoch == epoch }.map { past.remove(at: $0) }
        if present.epoch != 0 { past.append(present) }
        if past.count > Self.keptEpochs { past.removeFirst() }
        present = known ?? Epoch()
        present.epoch = epoch
    }

    var record: JournalRecord {
        var buffer = ByteBuffer()
        present.write(to: &buffer)
        for epoch in past { epoch.write(to: &buffer) }
        return .set(.receiving, Array(buffer.readableBytesView))
    }
}
