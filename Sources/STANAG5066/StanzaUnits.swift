import DequeModule
package import XMPP

/// The stanzas of a batch, each on its way as a unit of its own (XEP-0365 0.2.1 §4.1), and what became of each.
///
/// A stanza is handed over when the node has room for it; then it has a token, as units have, until the unit ends. Every stanza
/// ends once: what is told of a token that is not under way – of a unit that came back when its bind ended – says nothing new.
package struct StanzaUnits: Sendable {
    /// What became of a stanza that was under way.
    package enum End: Equatable, Sendable {
        /// The node, or the client behind the peer's node, has confirmed all of it, as its class wants it.
        case confirmed(Stanza)
        /// It has to be sent again, as a whole, if it is still worth it (XEP-0365 0.2.1 §4.3).
        case unsent(Stanza)
        /// It cannot be sent through this node.
        case inDoubt(Stanza)
    }

    private struct UnderWay {
        let stanza: Stanza
        let isUrgent: Bool
    }

    /// What the node has not got of the batch.
    private var batch: Deque<Stanza> = []
    /// The same of one that overtakes it.
    private var urgent: Deque<Stanza> = []
    /// By token.
    private var underWay: [UInt64: UnderWay] = [:]

    package init() {}

    /// All of the batches was handed over; another may follow.
    package var isBatchOver: Bool { batch.isEmpty && urgent.isEmpty }
    package var isUrgentBatchOver: Bool { urgent.isEmpty }
    package var underWayCount: Int { underWay.count }

    package mutating func batchTaken(_ batch: [Stanza]) {
        precondition(isBatchOver, "one batch at a time")
        self.batch = Deque(batch)
    }

    /// A batch that goes before what is left of another.
    package mutating func urgentBatchTaken(_ batch: [Stanza]) {
        precondition(isUrgentBatchOver, "one urgent batch at a time")
        urgent = Deque(batch)
    }

    /// The urgent stanza to be handed over next; nil when there is none.
    package mutating func nextUrgent(token: UInt64) -> (stanza: Stanza, isUrgent: Bool)? {
        guard let stanza = urgent.popFirst() else { return nil }
        return handOver(stanza, token: token, isUrgent: true)
    }

    /// The stanza to be handed over next, as the unit of this token; nil when the batch is over.
    ///
    /// - Parameter isUrgent: whether it may overtake others in the node. It must not where something less urgent between the same
    ///   addresses is under way.
    package mutating func next(
        token: UInt64, isUrgent: (Stanza) -> Bool = { _ in false }
    ) -> (stanza: Stanza, isUrgent: Bool)? {
        if let next = nextUrgent(token: token) { return next }
        guard let stanza = batch.popFirst() else { return nil }
        return handOver(stanza, token: token, isUrgent: isUrgent(stanza))
    }

    private mutating func handOver(_ stanza: Stanza, token: UInt64, isUrgent: Bool) -> (stanza: Stanza, isUrgent: Bool) {
        let isUrgent =
            isUrgent && !underWay.values.contains { !$0.isUrgent && $0.stanza.pairHash == stanza.pairHash }
        underWay[token] = UnderWay(stanza: stanza, isUrgent: isUrgent)
        return (stanza, isUrgent)
    }

    package mutating func finished(_ token: UInt64) -> End? {
        underWay.removeValue(forKey: token).map { .confirmed($0.stanza) }
    }

    package mutating func failed(_ token: UInt64, _ reason: RCOPUnitFailure) -> End? {
        guard let stanza = underWay.removeValue(forKey: token)?.stanza else { return nil }
        switch reason {
        case .tooLarge: return .inDoubt(stanza)
        case .rejected, .lost: return .unsent(stanza)
        }
    }

    /// No more can be handed over: takes what the node has not got, in order. What is under way ends by its tokens.
    package mutating func takeBatch() -> [Stanza] {
        defer { (batch, urgent) = ([], []) }
        return Array(urgent + batch)
    }
}
