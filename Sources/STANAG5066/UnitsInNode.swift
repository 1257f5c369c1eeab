import DequeModule
import NIOCore

/// The U_PDUs that the node has and has not answered, in the order in which it was given them.
///
/// The node does not number them: an answer repeats their destination and their first bytes (STANAG 5066 Ed. 3 §A.2.1.7), so
/// it is about the oldest that goes there and begins so. That is the oldest of all to that client when nothing is repeated.
///
/// Where so little is repeated that several begin so, that holds only of such as the node treats alike: it confirms what only the
/// far node has to have before what was given to it earlier and the far client has to have. So of those none ends before all have
/// been answered, and from then on the node has one U_PDU for each destination at a time.
struct UnitsInNode {
    /// What the node says of one.
    enum Answer: Equatable {
        case confirmed
        case rejected(UnidataRejectedReason)
    }

    /// What an answer leads to.
    enum Settlement {
        /// It is about nothing that is inside the node.
        case unmatched
        /// It is about one of several; which will never be known.
        case open
        case ended([(unit: Unit, answer: Answer)])
    }

    struct Unit {
        let id: SISUnitID
        let request: UnidataRequest
        let since: NIODeadline
        /// Without an answer until then it is taken for lost.
        var deadline: NIODeadline
        /// It may have met the node's S_DATA_FLOW_OFF on the way.
        var mayHaveCrossed = false

        var bytes: Int { request.uPDU.readableBytes }

        /// - Parameter isPadded: some nodes fill up what they repeat; then it begins with the whole U_PDU.
        func isMeant(by reference: UnidataReference, isPadded: Bool = false) -> Bool {
            guard request.destinationSAP == reference.destinationSAP, request.destination == reference.destination else {
                return false
            }
            let (own, repeated) = (request.uPDU.readableBytesView, reference.prefix.readableBytesView)
            return isPadded ? !own.isEmpty && repeated.starts(with: own) : own.starts(with: repeated)
        }

        /// Of such units the node answers the older one first.
        func isTreatedLike(_ other: Unit) -> Bool {
            request.priority == other.request.priority && request.delivery == other.request.delivery
        }
    }

    /// Answers that are about one of several.
    private struct OpenAnswers {
        let reference: UnidataReference
        var count = 0
        var rejection: UnidataRejectedReason?
    }

    private(set) var units: Deque<Unit> = []
    private(set) var bytes = 0
    private var open: [OpenAnswers] = []
    /// The node repeats too little to tell units apart, so it is to have one for each destination at a time; until the bind ends.
    private(set) var isOneAtATime = false

    var count: Int { units.count }

    func bytes(to destination: NodeAddress) -> Int {
        units.reduce(0) { $0 + ($1.request.destination == destination ? $1.bytes : 0) }
    }

    var nextDeadline: NIODeadline? { units.lazy.map(\.deadline).min() }

    mutating func append(_ unit: Unit) {
        units.append(unit)
        bytes += unit.bytes
    }

    /// Whether the node may have another one for this destination, as far as its answers can be told apart.
    func mayHaveAnother(to destination: NodeAddress) -> Bool {
        !isOneAtATime || !units.contains { $0.request.destination == destination }
    }

    /// The node has said what became of one.
    ///
    /// - Parameter limit: what was before one that is delivered in the same order, and may have been thrown away, will hardly be
    ///   answered, and is waited for only until then.
    mutating func answered(_ answer: Answer, _ reference: UnidataReference, patienceUntil limit: NIODeadline) -> Settlement {
        var places = units.indices.filter { units[$0].isMeant(by: reference) }
        if places.isEmpty { places = units.indices.filter { units[$0].isMeant(by: reference, isPadded: true) } }
        guard let oldest = places.first else { return .unmatched }
        let isClear = places.allSatisfy { place in
            units[place].isTreatedLike(units[oldest]) && !open.contains { units[place].isMeant(by: $0.reference) }
        }
        guard isClear || places.count == 1 else { return keep(answer, reference) }
        if answer == .confirmed { shortenPatience(before: oldest, until: limit) }
        return .ended([(remove(at: oldest), answer)] + takeSettled())
    }

    private mutating func keep(_ answer: Answer, _ reference: UnidataReference) -> Settlement {
        isOneAtATime = true
        if !open.contains(where: { $0.reference == reference }) { open.append(OpenAnswers(reference: reference)) }
        for index in open.indices where open[index].reference == reference {
            open[index].count += 1
            if case .rejected(let reason) = answer { open[index].rejection = reason }
        }
        let ended = takeSettled()
        return ended.isEmpty ? .open : .ended(ended)
    }

    /// What is settled because each of those that answers may have been about has one. Where one of them was rejected, nobody knows
    /// which, and so all are.
    private mutating func takeSettled() -> [(unit: Unit, answer: Answer)] {
        var ended: [(unit: Unit, answer: Answer)] = []
        var isAny = true
        while isAny {
            isAny = false
            for (index, answers) in open.enumerated() {
                let places = units.indices.filter { units[$0].isMeant(by: answers.reference) }
                guard places.count <= answers.count else { continue }
                open.remove(at: index)
                let answer = answers.rejection.map { Answer.rejected($0) } ?? .confirmed
                for _ in places {
                    guard let place = units.firstIndex(where: { $0.isMeant(by: answers.reference) }) else { break }
                    ended.append((remove(at: place), answer))
                }
                isAny = true
                break
            }
        }
        return ended
    }

    private mutating func shortenPatience(before place: Int, until limit: NIODeadline) {
        let later = units[place].request
        for index in 0..<place where units[index].mayHaveCrossed && later.delivery.isInOrder {
            let earlier = units[index].request
            guard earlier.destination == later.destination, earlier.destinationSAP == later.destinationSAP,
                earlier.priority >= later.priority, earlier.delivery.isInOrder
            else { continue }
            units[index].deadline = min(units[index].deadline, limit)
        }
    }

    /// The oldest whose time is up.
    mutating func takeExpired(now: NIODeadline) -> Unit? {
        guard let place = units.firstIndex(where: { $0.deadline <= now }) else { return nil }
        let unit = remove(at: place)
        // Those answers may have been about this one.
        open.removeAll { unit.isMeant(by: $0.reference) }
        return unit
    }

    mutating func takeAll() -> Deque<Unit> {
        defer {
            units = []
            bytes = 0
            open = []
            isOneAtATime = false
        }
        return units
    }

    /// The node has said that it takes no more.
    ///
    /// - Parameter crossing: what was handed over so shortly before may have met that on the way.
    mutating func flowStopped(crossing: TimeAmount, now: NIODeadline) {
        for index in units.indices where now - units[index].since <= crossing { units[index].mayHaveCrossed = true }
    }

    /// The node takes more again. Where it is given one at a time, no later one shows that one before was thrown away, and all
    /// would wait for it.
    mutating func flowResumed(patienceUntil limit: NIODeadline) {
        guard isOneAtATime else { return }
        for index in units.indices where units[index].mayHaveCrossed { units[index].deadline = min(units[index].deadline, limit) }
    }

    private mutating func remove(at index: Int) -> Unit {
        let unit = units.remove(at: index)
        bytes -= unit.bytes
        return unit
    }
}
