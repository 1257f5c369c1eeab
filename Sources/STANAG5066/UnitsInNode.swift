import DequeModule
import NIOCore

/// The U_PDUs that the node has and has not answered, in the order in which it was given them.
///
/// The node does not number them: an answer repeats their destination and their first bytes (STANAG 5066 Ed. 3 §A.2.1.7), so
/// it is about the oldest that goes there and begins so. That is the oldest of all to that client when nothing is repeated.
struct UnitsInNode {
    struct Unit {
        let id: SISUnitID
        let request: UnidataRequest
        let since: NIODeadline
        /// Without an answer until then it is taken for lost.
        var deadline: NIODeadline
        /// It may have met the node's S_DATA_FLOW_OFF on the way.
        var mayHaveCrossed = false

        var bytes: Int { request.uPDU.readableBytes }

        func isMeant(by reference: UnidataReference) -> Bool {
            request.destinationSAP == reference.destinationSAP && request.destination == reference.destination
                && request.uPDU.readableBytesView.starts(with: reference.prefix.readableBytesView)
        }
    }

    private(set) var units: Deque<Unit> = []
    private(set) var bytes = 0

    var count: Int { units.count }

    func bytes(to destination: NodeAddress) -> Int {
        units.reduce(0) { $0 + ($1.request.destination == destination ? $1.bytes : 0) }
    }

    var nextDeadline: NIODeadline? { units.lazy.map(\.deadline).min() }

    mutating func append(_ unit: Unit) {
        units.append(unit)
        bytes += unit.bytes
    }

    /// The node could not deliver one.
    mutating func takeRejected(_ reference: UnidataReference) -> Unit? {
        units.firstIndex { $0.isMeant(by: reference) }.map { remove(at: $0) }
    }

    /// One is delivered. What was before it in the same order, and may have been thrown away, will hardly be answered, and is
    /// waited for only until `limit`.
    mutating func takeConfirmed(_ reference: UnidataReference, patienceUntil limit: NIODeadline) -> Unit? {
        guard let place = units.firstIndex(where: { $0.isMeant(by: reference) }) else { return nil }
        let later = units[place].request
        for index in 0..<place where units[index].mayHaveCrossed && later.delivery.isInOrder {
            let earlier = units[index].request
            guard earlier.destination == later.destination, earlier.destinationSAP == later.destinationSAP,
                earlier.priority >= later.priority, earlier.delivery.isInOrder
            else { continue }
            units[index].deadline = min(units[index].deadline, limit)
        }
        return remove(at: place)
    }

    /// The oldest whose time is up.
    mutating func takeExpired(now: NIODeadline) -> Unit? {
        units.firstIndex { $0.deadline <= now }.map { remove(at: $0) }
    }

    mutating func takeAll() -> Deque<Unit> {
        defer {
            units = []
            bytes = 0
        }
        return units
    }

    /// The node has said that it takes no more.
    ///
    /// - Parameter crossing: what was handed over so shortly before may have met that on the way.
    mutating func flowStopped(crossing: TimeAmount, now: NIODeadline) {
        for index in units.indices where now - units[index].since <= crossing { units[index].mayHaveCrossed = true }
    }

    private mutating func remove(at index: Int) -> Unit {
        let unit = units.remove(at: index)
        bytes -= unit.bytes
        return unit
    }
}
