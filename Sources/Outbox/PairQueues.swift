import DequeModule
import XMPP

/// What becomes of a stanza that is offered to the link.
package enum OutboxOffer: Equatable, Sendable {
    case take
    /// Nothing of this pair for now.
    case passOver
    /// Nothing more at all.
    case stop
}

/// Stanzas in one queue per pair of bare addresses, and the order in which the queues are served.
///
/// Inside a pair the order never changes (RFC 6120 §10.1). Between pairs, the queue that holds the most urgent stanza is
/// served first, and among those the one whose head came first. Nothing depends on the order of a hash table: the
/// dictionary is only asked, never walked.
struct PairQueues: ~Copyable {
    private struct Node {
        var waiting: OutboxEntry?
        /// Position in the order of arrival; what is put back in front counts downwards from zero.
        var sequence: Int64 = 0
        var previous = Self.none
        var next = Self.none
        var pair = Self.none
        /// Tells a node from a later one in the same place.
        var generation: UInt32 = 0
        var stanzaClass = StanzaClass.message
        /// Plain availability, which a newer one may replace.
        var isReplaceable = false

        static let none: Int32 = -1
    }

    private struct Pair {
        var key: UInt64 = 0
        var head = Node.none
        var tail = Node.none
        /// Waiting stanzas by class.
        var counts: InlineArray<4, Int32> = [0, 0, 0, 0]
        var replaceable: Int32 = 0
        /// What its valid entry in the heap says.
        var entered: Turn?

        /// The greatest priority of what waits; nil when nothing does.
        func priority(_ classes: OutboxClasses) -> UInt8? {
            var greatest: UInt8?
            for stanzaClass in StanzaClass.allCases where counts[Int(stanzaClass.rawValue)] > 0 {
                greatest = max(greatest ?? 0, classes.priority(stanzaClass))
            }
            return greatest
        }
    }

    private struct Turn: Comparable {
        var priority: UInt8
        var sequence: Int64
        var pair: Int32

        static func < (left: Turn, right: Turn) -> Bool {
            left.priority != right.priority ? left.priority > right.priority : left.sequence < right.sequence
        }
    }

    private struct Reference {
        var node: Int32
        var generation: UInt32
    }

    private var nodes: [Node] = []
    private var freeNodes: [Int32] = []
    private var pairs: [Pair] = []
    private var freePairs: [Int32] = []
    private var pairByKey: [UInt64: Int32] = [:]
    private var turns = MinimumHeap<Turn>()
    /// By ``StanzaLifetime``: what is under that clock, oldest first; entries of removed nodes are skipped.
    private var ages: [Deque<Reference>] = Array(repeating: [], count: StanzaLifetime.allCases.count)
    private var nextSequence: Int64 = 1
    private var frontSequence: Int64 = 0

    private(set) var count = 0
    private(set) var byteCount = 0
    /// Waiting stanzas of the urgent class.
    private(set) var urgentCount = 0
    /// What waits already keeps its class, but takes its place by the new priorities.
    var classes: OutboxClasses {
        didSet {
            for pair in pairs.indices { enterTurn(of: Int32(truncatingIfNeeded: pair)) }
        }
    }

    init(classes: OutboxClasses) { self.classes = classes }

    /// How far back a newer presence looks for an older one of the same addresses.
    private static let replacementReach = 64
    /// How many places for stanzas are kept when nothing waits.
    private static let keptNodes = 4_096

    // MARK: Adding

    /// Adds at the end. Returns an older presence of the same addresses that went away for it.
    mutating func append(_ waiting: OutboxEntry) -> OutboxEntry? {
        let key = waiting.stanza.pairHash
        let isReplaceable = classes.supersedesPresence && waiting.stanza.isPlainAvailability
        var replaced: OutboxEntry?
        // Before the pair is looked up for good: removing its only stanza gives its place away.
        if isReplaceable, let pair = pairByKey[key], pairs[Int(pair)].replaceable > 0 {
            replaced = removeOlderPresence(of: waiting.stanza, in: pair)
        }
        let pair = findPair(key)
        let node = makeNode(waiting, pair: pair, sequence: nextSequence, isReplaceable: isReplaceable)
        nextSequence += 1
        let tail = pairs[Int(pair)].tail
        nodes[Int(node)].previous = tail
        if tail == Node.none { pairs[Int(pair)].head = node } else { nodes[Int(tail)].next = node }
        pairs[Int(pair)].tail = node
        ages[lifetimeIndex(waiting.stanza)].append(reference(to: node))
        enterTurn(of: pair)
        return replaced
    }

    /// Adds in front of everything of its pair. Returns false when it is a presence that a waiting one replaces anyway.
    ///
    /// - Parameter isByAge: in front of what came after it only: smaller ids stay before it.
    mutating func prepend(_ waiting: OutboxEntry, isByAge: Bool) -> Bool {
        let pair = findPair(waiting.stanza.pairHash)
        var (previous, next) = (Node.none, pairs[Int(pair)].head)
        if isByAge {
            while next != Node.none, let other = nodes[Int(next)].waiting, other.id < waiting.id {
                (previous, next) = (next, nodes[Int(next)].next)
            }
        }
        let isReplaceable = classes.supersedesPresence && waiting.stanza.isPlainAvailability
        if isReplaceable, pairs[Int(pair)].replaceable > 0, hasNewerPresence(than: waiting.stanza, from: next) {
            return false
        }
        let sequence = previous == Node.none ? frontSequence : nodes[Int(previous)].sequence
        let node = makeNode(waiting, pair: pair, sequence: sequence, isReplaceable: isReplaceable)
        nodes[Int(node)].previous = previous
        nodes[Int(node)].next = next
        if next == Node.none { pairs[Int(pair)].tail = node } else { nodes[Int(next)].previous = node }
        if previous == Node.none {
            frontSequence -= 1
            pairs[Int(pair)].head = node
        } else {
            nodes[Int(previous)].next = node
        }
        enterAge(of: node, waiting)
        enterTurn(of: pair)
        return true
    }

    /// Among those that are about as old, which were put back before it.
    private mutating func enterAge(of node: Int32, _ waiting: OutboxEntry) {
        let index = lifetimeIndex(waiting.stanza)
        var place = 0
        while place < ages[index].count {
            let other = nodes[Int(ages[index][place].node)]
            if other.generation == ages[index][place].generation, let older = other.waiting,
                older.arrival >= waiting.arrival
            {
                break
            }
            place += 1
        }
        ages[index].insert(reference(to: node), at: place)
    }

    // MARK: Taking

    /// The stanza whose turn it is; nil when nothing waits.
    mutating func nextStanza() -> Stanza? {
        nextPair().flatMap { nodes[Int(pairs[Int($0)].head)].waiting?.stanza }
    }

    /// Takes the stanza whose turn it is.
    mutating func takeNext() -> OutboxEntry? {
        guard let pair = nextPair() else { return nil }
        return remove(pairs[Int(pair)].head)
    }

    /// Offers one waiting stanza after the other, each as long as those before it in its pair were taken.
    ///
    /// - Parameters:
    ///   - least: pairs in which nothing has this priority are not looked at, however many there are.
    ///   - decide: what becomes of a stanza, its class given.
    mutating func take(atLeast least: UInt8, _ decide: (OutboxEntry, StanzaClass) -> OutboxOffer) -> [OutboxEntry] {
        var taken: [OutboxEntry] = []
        var aside: [Turn] = []
        while let pair = nextPair() {
            // Those with the greatest priority come first.
            guard pairs[Int(pair)].priority(classes) ?? 0 >= least else { break }
            let head = nodes[Int(pairs[Int(pair)].head)]
            guard let waiting = head.waiting else { break }
            switch decide(waiting, head.stanzaClass) {
            case .take:
                if let entry = remove(pairs[Int(pair)].head) { taken.append(entry) }
                continue
            case .passOver:
                if let turn = turns.removeFirst() { aside.append(turn) }
                continue
            case .stop: break
            }
            break
        }
        for turn in aside { turns.insert(turn) }
        return taken
    }

    /// When the oldest stanza under a clock arrived; nil when there is none.
    mutating func oldestArrival(_ lifetime: StanzaLifetime) -> UInt64? {
        let index = Int(lifetime.rawValue)
        while let reference = ages[index].first {
            let node = nodes[Int(reference.node)]
            if node.generation == reference.generation, let waiting = node.waiting { return waiting.arrival }
            ages[index].removeFirst()
        }
        return nil
    }

    /// Takes the oldest stanza under a clock, wherever it stands in its pair's queue.
    mutating func takeOldest(_ lifetime: StanzaLifetime) -> OutboxEntry? {
        guard oldestArrival(lifetime) != nil, let reference = ages[Int(lifetime.rawValue)].popFirst() else { return nil }
        return remove(reference.node)
    }

    // MARK: Looking

    /// Takes the stanza with this id.
    mutating func take(id: UInt64) -> OutboxEntry? {
        guard let index = nodes.firstIndex(where: { $0.waiting?.id == id }) else { return nil }
        return remove(Int32(truncatingIfNeeded: index))
    }

    /// Everything that waits, about in the order in which it would leave.
    var inOrder: [(entry: OutboxEntry, stanzaClass: StanzaClass)] {
        var listed: [(turn: Turn, entry: OutboxEntry, stanzaClass: StanzaClass)] = []
        listed.reserveCapacity(count)
        for node in nodes {
            guard let entry = node.waiting else { continue }
            let priority = pairs[Int(node.pair)].priority(classes) ?? 0
            listed.append((Turn(priority: priority, sequence: node.sequence, pair: 0), entry, node.stanzaClass))
        }
        return listed.sorted { $0.turn < $1.turn }.map { ($0.entry, $0.stanzaClass) }
    }

    // MARK: Nodes

    private func lifetimeIndex(_ stanza: Stanza) -> Int { Int(StanzaLifetime(stanza).rawValue) }

    private func reference(to node: Int32) -> Reference {
        Reference(node: node, generation: nodes[Int(node)].generation)
    }

    private mutating func makeNode(_ waiting: OutboxEntry, pair: Int32, sequence: Int64, isReplaceable: Bool) -> Int32 {
        let index: Int32
        if let free = freeNodes.popLast() {
            index = free
        } else {
            index = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(Node())
        }
        let stanzaClass = classes.stanzaClass(waiting.stanza)
        nodes[Int(index)].waiting = waiting
        nodes[Int(index)].sequence = sequence
        nodes[Int(index)].previous = Node.none
        nodes[Int(index)].next = Node.none
        nodes[Int(index)].pair = pair
        nodes[Int(index)].stanzaClass = stanzaClass
        nodes[Int(index)].isReplaceable = isReplaceable
        pairs[Int(pair)].counts[Int(stanzaClass.rawValue)] += 1
        if isReplaceable { pairs[Int(pair)].replaceable += 1 }
        if stanzaClass == .urgent { urgentCount += 1 }
        count += 1
        byteCount += waiting.stanza.byteCount
        return index
    }

    private mutating func remove(_ index: Int32) -> OutboxEntry? {
        let node = nodes[Int(index)]
        guard let waiting = node.waiting else { return nil }
        nodes[Int(index)].waiting = nil
        nodes[Int(index)].generation &+= 1
        freeNodes.append(index)
        let pair = Int(node.pair)
        if node.previous == Node.none {
            pairs[pair].head = node.next
        } else {
            nodes[Int(node.previous)].next = node.next
        }
        if node.next == Node.none {
            pairs[pair].tail = node.previous
        } else {
            nodes[Int(node.next)].previous = node.previous
        }
        pairs[pair].counts[Int(node.stanzaClass.rawValue)] -= 1
        if node.isReplaceable { pairs[pair].replaceable -= 1 }
        if node.stanzaClass == .urgent { urgentCount -= 1 }
        count -= 1
        byteCount -= waiting.stanza.byteCount
        if pairs[pair].head == Node.none {
            pairByKey[pairs[pair].key] = nil
            pairs[pair] = Pair()
            freePairs.append(node.pair)
        } else {
            enterTurn(of: node.pair)
        }
        if count == 0 { forgetStaleEntries() } else { dropStaleEntriesIfMany() }
        return waiting
    }

    // MARK: Pairs and turns

    private mutating func findPair(_ key: UInt64) -> Int32 {
        if let pair = pairByKey[key] { return pair }
        let index: Int32
        if let free = freePairs.popLast() {
            index = free
        } else {
            index = Int32(truncatingIfNeeded: pairs.count)
            pairs.append(Pair())
        }
        pairs[Int(index)].key = key
        pairByKey[key] = index
        return index
    }

    /// Enters the pair into the heap where its turn has changed.
    private mutating func enterTurn(of pair: Int32) {
        let head = pairs[Int(pair)].head
        guard head != Node.none, let priority = pairs[Int(pair)].priority(classes) else { return }
        let turn = Turn(priority: priority, sequence: nodes[Int(head)].sequence, pair: pair)
        guard pairs[Int(pair)].entered != turn else { return }
        pairs[Int(pair)].entered = turn
        turns.insert(turn)
    }

    private mutating func nextPair() -> Int32? {
        while let turn = turns.first {
            if pairs[Int(turn.pair)].entered == turn { return turn.pair }
            turns.removeFirst()
        }
        return nil
    }

    private mutating func forgetStaleEntries() {
        turns.removeAll()
        for index in ages.indices { ages[index].removeAll(keepingCapacity: true) }
        nextSequence = 1
        frontSequence = 0
        // A backlog that is gone gives its memory back.
        guard nodes.count > Self.keptNodes else { return }
        nodes = []
        freeNodes = []
        pairs = []
        freePairs = []
        pairByKey = [:]
        turns = MinimumHeap()
        ages = Array(repeating: [], count: ages.count)
    }

    /// Replaced presence leaves entries behind; while a link is down nothing else would clear them away.
    private mutating func dropStaleEntriesIfMany() {
        if turns.count > 2 * pairs.count + 64 {
            turns.removeAll()
            for pair in pairs {
                if let turn = pair.entered { turns.insert(turn) }
            }
        }
        for index in ages.indices where ages[index].count > 2 * count + 64 {
            ages[index].removeAll { nodes[Int($0.node)].generation != $0.generation }
        }
    }

    // MARK: Superseding

    private mutating func removeOlderPresence(of stanza: Stanza, in pair: Int32) -> OutboxEntry? {
        var index = pairs[Int(pair)].tail
        var reach = Self.replacementReach
        while index != Node.none, reach > 0 {
            let node = nodes[Int(index)]
            if let older = node.waiting?.stanza, older.kind == .presence {
                // Never across another kind of presence: its effect would be undone.
                guard node.isReplaceable else { return nil }
                if older.hasSameAddresses(as: stanza) {
                    return remove(index)
                }
            }
            index = node.previous
            reach -= 1
        }
        return nil
    }

    /// Whether the node or one behind it in its pair says something newer.
    private func hasNewerPresence(than stanza: Stanza, from node: Int32) -> Bool {
        var index = node
        var reach = Self.replacementReach
        while index != Node.none, reach > 0 {
            let node = nodes[Int(index)]
            if let newer = node.waiting?.stanza, newer.kind == .presence {
                guard node.isReplaceable else { return false }
                if newer.hasSameAddresses(as: stanza) { return true }
            }
            index = node.next
            reach -= 1
        }
        return false
    }
}
