package import XMPP

/// The local side at one moment, for `skywave status`. Everything is ordered, nothing depends on hashing.
package struct LocalSideStatus: Equatable, Sendable {
    package struct Stream: Equatable, Sendable {
        package enum Direction: String, Sendable {
            /// The server dialled.
            case inbound
            /// The bridge dialled.
            case outbound
            case component
        }

        package var connection: ConnectionID
        package var direction: Direction
        /// The state in words.
        package var state: String
        package var isEncrypted: Bool
        /// Pairs that are proved on this stream; for a component the remote domain beside each local one.
        package var pairs: [DomainPair]
        /// Stanzas are acknowledged (XEP-0198).
        package var isAcknowledged = false
        /// Stanzas that one side wrote and for which the other is not responsible yet: what the server sent and was not told
        /// to be the bridge's, or what the bridge sent and the server has not acknowledged (without XEP-0198: the kernel has
        /// not taken).
        package var unacknowledged = 0
    }

    package struct Queue: Equatable, Sendable {
        package var remote: Domain
        /// `nil` for a component, which takes stanzas for every local domain.
        package var local: Domain?
        package var state: String
        package var stanzas: Int
        package var bytes: Int
        /// Why the last attempt failed; `nil` after a success.
        package var lastError: String?
    }

    package var streams: [Stream]
    package var queues: [Queue]
    package var queuedStanzas: Int
    package var queuedBytes: Int
    /// Stanzas that the server may have got twice (with XEP-0198) or not at all (without), because a stream broke; since the
    /// start.
    package var stanzasInDoubt: UInt64
    /// Stanzas that the server sent a second time and that were not passed on; since the start.
    package var repeatedStanzas: UInt64
    /// Warnings and errors, the newest last; a few dozen at most.
    package var recentProblems: [LocalNote]
    /// How often each kind of event happened since the start; every kind is there.
    package var counts: [(kind: LocalNote.Kind, count: UInt64)]

    package static func == (left: LocalSideStatus, right: LocalSideStatus) -> Bool {
        left.streams == right.streams && left.queues == right.queues && left.queuedStanzas == right.queuedStanzas
            && left.queuedBytes == right.queuedBytes && left.recentProblems == right.recentProblems
            && left.stanzasInDoubt == right.stanzasInDoubt && left.repeatedStanzas == right.repeatedStanzas
            && left.counts.elementsEqual(right.counts) { $0 == $1 }
    }
}
