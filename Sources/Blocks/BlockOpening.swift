import NIOCore

/// What the first block of a session says beyond the usual header, or why the other side's was refused
/// (docs/link-protocol.md, "Opening").
package enum BlockOpening: Equatable, Sendable {
    case session(SessionOpening)
    case refusal(SessionRefusal)

    /// The one version of the link protocol that this code speaks.
    package static let version: UInt8 = 1
    /// No number of a stanza or session is above it; what says so is malformed.
    static let highestNumber = UInt64(Int64.max)
    private static let refusalMark: UInt8 = 0x80

    func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .session(let opening):
            buffer.writeInteger(Self.version)
            opening.encode(into: &buffer)
        case .refusal(let refusal):
            switch refusal {
            case .version(let version): buffer.writeMultipleIntegers(Self.refusalMark, version)
            case .unknownHistory(let session):
                buffer.writeInteger(Self.refusalMark | 1)
                buffer.writeVariableInteger(session)
            case .restored(let epoch, let session, let seen):
                buffer.writeMultipleIntegers(Self.refusalMark | 2, epoch)
                buffer.writeVariableInteger(session)
                buffer.writeVariableInteger(seen)
            }
        }
    }

    init?(reading buffer: inout ByteBuffer) throws(BlockError) {
        guard let kind: UInt8 = buffer.readInteger() else { return nil }
        switch kind {
        case Self.version:
            guard let opening = try SessionOpening(reading: &buffer) else { return nil }
            self = .session(opening)
        case Self.refusalMark:
            guard let version: UInt8 = buffer.readInteger() else { return nil }
            self = .refusal(.version(version))
        case Self.refusalMark | 1:
            guard let session = try buffer.readVariableInteger() else { return nil }
            self = .refusal(.unknownHistory(session: session))
        case Self.refusalMark | 2:
            guard let epoch: UInt64 = buffer.readInteger(), let session = try buffer.readVariableInteger(),
                let seen = try buffer.readVariableInteger()
            else { return nil }
            self = .refusal(.restored(epoch: epoch, session: session, seen: seen))
        default:
            throw .unsupportedVersion(kind)
        }
    }
}

/// Why a session of the other side cannot be read.
package enum SessionRefusal: Equatable, Sendable {
    /// Another version of the link protocol; the value is the one that this side speaks.
    case version(UInt8)
    /// The history that the session starts from is not here, or its text is damaged: begin again with less.
    case unknownHistory(session: UInt64)
    /// Of this epoch more is known here than its sender knows: it was restored from a copy and must begin a new epoch.
    /// `session` is the one that was refused, `seen` the highest that has been read here.
    case restored(epoch: UInt64, session: UInt64, seen: UInt64)
}

/// What both directions have to know of each other before truncated numbers mean anything.
package struct SessionOpening: Equatable, Sendable {
    /// Where the text of the normal lane goes on.
    package enum History: Equatable, Sendable {
        case none
        /// Text of earlier sessions that ends at `position`; `hash` is ``StableHash`` of its last `length` bytes.
        case text(position: UInt64, length: UInt16, hash: UInt64)
        /// A preset dictionary, by the first eight bytes of the SHA-256 of its file.
        case dictionary(UInt64)
    }

    /// The encodings that the sender may use in bodies; all bits are known to version 1.
    package struct Encodings: OptionSet, Equatable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        package static let rawIDs = Encodings(rawValue: 0x01)
        package static let recipientLists = Encodings(rawValue: 0x02)
        package static let ages = Encodings(rawValue: 0x04)
        package static let all: Encodings = [.rawIDs, .recipientLists, .ages]
    }

    package var encodings = Encodings.all
    /// Names one numbering of stanzas, at random; a journal that is new or was restored begins another.
    package var epoch: UInt64
    /// Counts the sessions of this epoch; committed before the block leaves.
    package var session: UInt64
    /// Names the run of the sender's process, at random.
    package var process: UInt32 = 0
    /// The runs before, the newest first, down to the last one of which the sender knows that something of it was read. By these
    /// a journal that was restored from a copy is told from one that goes on: whatever was received of a run cannot be
    /// above the numbers that its journal held at its end.
    package var runs: [ProcessRun] = []
    /// The epoch of the other side that the next fields are about; 0 when nothing was ever received.
    package var peerEpoch: UInt64 = 0
    /// The highest numbers received and committed.
    package var receivedNormal: UInt64 = 0
    package var receivedExpress: UInt64 = 0
    /// Of the stanza after ``receivedNormal`` so many bytes have arrived in parts.
    package var receivedPart: UInt64 = 0
    package var history = History.none
    /// The highest session of the other side that was ever read here.
    package var peerSession: UInt64 = 0
    /// Whether it is still being read; if not, the other side has to begin another.
    package var readsPeerSession = false
    /// Names the sender's profile; a difference is information, not a fault.
    package var profile: UInt32 = 0

    /// The ``process`` of the other side whose session ``peerSession`` was.
    package var peerProcess: UInt32 = 0

    /// Of more runs nobody speaks.
    static let maximumRuns = 15

    package init(epoch: UInt64, session: UInt64) {
        self.epoch = epoch
        self.session = session
    }

    /// Whether the numbering of this session is the one of which so much was received from a run of the sender's process.
    func continues(_ process: UInt32, received: [UInt64]) -> Bool {
        if process == self.process { return true }
        if let run = runs.first(where: { $0.process == process }) { return run.covers(received) }
        // It may have been left out of a list that is full: the newest run says the least, but something.
        return runs.count == Self.maximumRuns && runs[0].covers(received)
    }

    func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(encodings.rawValue, epoch)
        buffer.writeVariableInteger(session)
        buffer.writeMultipleIntegers(process, UInt8(truncatingIfNeeded: runs.count))
        for run in runs {
            buffer.writeInteger(run.process)
            for value in run.highest { buffer.writeVariableInteger(value) }
        }
        buffer.writeInteger(peerEpoch)
        if peerEpoch != 0 {
            let reading = peerSession << 1 | (readsPeerSession ? 1 : 0)
            for value in [receivedNormal, receivedExpress, receivedPart, reading] { buffer.writeVariableInteger(value) }
            buffer.writeInteger(peerProcess)
        }
        switch history {
        case .none: buffer.writeInteger(UInt8(0))
        case .text(let position, let length, let hash):
            buffer.writeInteger(UInt8(1))
            buffer.writeVariableInteger(position)
            buffer.writeVariableInteger(UInt64(length))
            buffer.writeInteger(hash)
        case .dictionary(let id): buffer.writeMultipleIntegers(UInt8(2), id)
        }
        buffer.writeInteger(profile)
    }

    init?(reading buffer: inout ByteBuffer) throws(BlockError) {
        guard let (encodings, epoch) = buffer.readMultipleIntegers(as: (UInt8, UInt64).self),
            let session = try buffer.readVariableInteger(),
            let (process, count) = buffer.readMultipleIntegers(as: (UInt32, UInt8).self)
        else { return nil }
        guard session > 0, session <= BlockOpening.highestNumber else { throw .malformed("a number that nobody can reach") }
        guard count <= Self.maximumRuns else { throw .malformed("\(count) runs of a process") }
        var runs: [ProcessRun] = []
        for _ in 0..<count {
            guard let process: UInt32 = buffer.readInteger(), let normal = try buffer.readVariableInteger(),
                let express = try buffer.readVariableInteger()
            else { return nil }
            guard max(normal, express) <= BlockOpening.highestNumber else { throw .malformed("a number that nobody can reach") }
            runs.append(ProcessRun(process: process, highest: [normal, express]))
        }
        guard let peerEpoch: UInt64 = buffer.readInteger() else { return nil }
        self.init(epoch: epoch, session: session)
        self.encodings = Encodings(rawValue: encodings)
        guard self.encodings.isSubset(of: .all) else { throw .malformed("an encoding that version 1 does not have") }
        self.process = process
        self.runs = runs
        self.peerEpoch = peerEpoch
        if peerEpoch != 0 {
            guard let normal = try buffer.readVariableInteger(), let express = try buffer.readVariableInteger(),
                let part = try buffer.readVariableInteger(), let reading = try buffer.readVariableInteger(),
                let peerProcess: UInt32 = buffer.readInteger()
            else { return nil }
            receivedNormal = normal
            receivedExpress = express
            receivedPart = part
            peerSession = reading >> 1
            readsPeerSession = reading & 1 == 1
            self.peerProcess = peerProcess
        }
        guard let kind: UInt8 = buffer.readInteger() else { return nil }
        switch kind {
        case 0: history = .none
        case 1:
            guard let position = try buffer.readVariableInteger(), let length = try buffer.readVariableInteger(),
                let hash: UInt64 = buffer.readInteger()
            else { return nil }
            guard length > 0, length <= 65_535 else { throw .malformed("a history of \(length) bytes") }
            history = .text(position: position, length: UInt16(truncatingIfNeeded: length), hash: hash)
        case 2:
            guard let id: UInt64 = buffer.readInteger() else { return nil }
            history = .dictionary(id)
        default: throw .malformed("history of kind \(kind)")
        }
        guard let profile: UInt32 = buffer.readInteger() else { return nil }
        self.profile = profile
    }
}
