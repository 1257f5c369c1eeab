package import NIOCore
import SeededRandom

/// What a client counts, for status and metrics; since the start.
package struct SISClientCounters: Equatable, Sendable {
    package internal(set) var binds: UInt64 = 0
    package internal(set) var unitsSent: UInt64 = 0
    /// Confirmations and rejections that fit no U_PDU on its way: late, doubled, or about one without confirmation.
    package internal(set) var unmatched: UInt64 = 0
    /// Confirmations and rejections that repeat so little that they fit several U_PDUs of different kinds.
    package internal(set) var ambiguous: UInt64 = 0
    /// Primitives that the node should not have sent in the state of the bind.
    package internal(set) var unexpected: UInt64 = 0
    /// Primitives that could not be read.
    package internal(set) var skipped: UInt64 = 0
    /// Why the last of them could not be read.
    package internal(set) var lastSkipped: SISError?

    mutating func skipped(_ error: SISError) {
        skipped += 1
        lastSkipped = error
    }
}

/// What a client's status shows.
package struct SISClientStatus: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        case idle
        /// The next connection is opened then.
        case waiting(until: NIODeadline)
        case dialling
        case binding
        case bound(since: NIODeadline, mtu: Int)
        /// The node has ended the bind; it is asked again then.
        case unbound(until: NIODeadline)
        case stopping
        case stopped
    }

    package var state: State
    /// Since when the node takes nothing (S_DATA_FLOW_OFF); nil while it does.
    package var flowOffSince: NIODeadline?
    package var isFlowOn: Bool { flowOffSince == nil }
    /// What the node said last on this connection; nil for nothing.
    package var subnet: SubnetStatus?
    package var unitsInNode: Int
    package var bytesInNode: Int
    /// The node repeats too little of a U_PDU when it answers for it, so it is given one for each destination at a time.
    package var isOneAtATime = false
}

extension SISClientStateMachine {
    package var status: SISClientStatus {
        let shown: SISClientStatus.State =
            switch state {
            case .idle: .idle
            case .waiting(let until): .waiting(until: until)
            case .dialling: .dialling
            case .binding: .binding
            case .bound(_, let since, let mtu): .bound(since: since, mtu: mtu)
            case .unbound(_, let until): .unbound(until: until)
            case .stopping: .stopping
            case .stopped: .stopped
            }
        return SISClientStatus(
            state: shown, flowOffSince: flowOffSince, subnet: connection?.subnet, unitsInNode: units.count, bytesInNode: units.bytes,
            isOneAtATime: units.isOneAtATime)
    }

    /// For logs; holds nothing of what is sent.
    package var debugState: String {
        "state \(state), flow \(isFlowOn), subnet \(connection?.subnet?.description ?? "untold"), in node \(units.count) units, "
            + "\(units.bytes) bytes, failures \(backOff.failures), reservation \(reservation?.link.remoteNode.description ?? "none")"
    }
}
