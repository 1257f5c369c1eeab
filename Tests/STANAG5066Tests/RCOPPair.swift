import NIOCore
import STANAG5066
import TestSupport

/// An RCOP sender and a receiver in virtual time, with a model of what two nodes and a radio do between them.
///
/// The nodes keep what they took in order, lose it, deliver it twice, say that it is lost when it arrived, reject it,
/// end the bind and announce another MTU; both machines start again and forget everything. In dialect `skywave` U_PDUs
/// also overtake each other. The owner of the sender does what an outbox does: what is given up, and all that was not
/// finished before a restart, it offers again.
struct RCOPPair: ~Copyable {
    enum Dialect { case skywave, xep }

    private struct Content: Hashable {
        /// Of the sender, or a repetition by the owner: two offers of one unit are two units.
        var offer: UInt64
        var number: UInt64
    }

    private struct InNode {
        var uPDU: RCOPUPDU
        /// A second copy, of which nobody hears.
        var isCopy: Bool
    }

    private let dialect: Dialect
    private var random: SeededGenerator
    private var now = NIODeadline.second(1)
    private var sender: RCOPSender
    private var receiver: RCOPReceiver
    private var isBound = false
    private var node: [InNode] = []
    /// Numbers of units that the receiver may hold in part, by connection.
    private var begun: [UInt8: Set<UInt8>] = [:]

    private let total: UInt64
    private var waiting: [UInt64]
    private var nextOffer: UInt64 = 1
    /// Offered and not ended, by token.
    private var offered: [UInt64: Content] = [:]
    /// A part of what these consist of may have come to a receiver that is gone.
    private var excused: Set<UInt64> = []
    private var made: Set<Content> = []
    private var arrived: Set<UInt64> = []
    private var arrivedInThisLife: Set<Content> = []
    private var steps = 0
    private var violation: String?

    init(dialect: Dialect, seed: UInt64) {
        self.dialect = dialect
        random = SeededGenerator(seed: seed)
        total = UInt64.random(in: 5...40, using: &random)
        waiting = Array(0..<total)
        sender = RCOPSender(Self.senderConfiguration(dialect), firstNumber: UInt8.random(in: 0...255, using: &random))
        receiver = RCOPReceiver(Self.receiverConfiguration(dialect))
    }

    private static func senderConfiguration(_ dialect: Dialect) -> RCOPSenderConfiguration {
        let connections = [
            RCOPSenderConfiguration.Connection(number: 0, priority: 1), .init(number: 9, priority: 7),
        ]
        return dialect == .skywave ? .skywave(connections: connections) : .xep(connections: connections)
    }

    private static func receiverConfiguration(_ dialect: Dialect) -> RCOPReceiverConfiguration {
        var configuration = RCOPReceiverConfiguration(
            framing: dialect == .skywave ? .delimited : .stanzas, application: dialect == .skywave ? .skywave : .xmpp)
        // Nothing may be given up that the sender still works on.
        configuration.assemblyTimeout = .hours(100)
        return configuration
    }

    /// - Returns: what does not hold, or nil.
    mutating func run() -> String? {
        while violation == nil, arrived.count < Int(total) || sender.unitCount > 0 {
            steps += 1
            guard steps < 40_000 else { return "no end: \(sender.debugState), \(receiver.debugState), waiting \(waiting)" }
            step()
        }
        if violation == nil, receiver.heldBytes > 0 {
            receiver.deadlineReached(now: now + .hours(101))
            if receiver.heldBytes > 0 { return "\(receiver.heldBytes) bytes are held for ever" }
        }
        return violation
    }

    private mutating func step() {
        now = now + .milliseconds(Int64.random(in: 0...2_000, using: &random))
        // Trouble ends some time, or nothing would ever be done.
        let isCalm = steps > 4_000
        switch Int.random(in: 0..<1_000, using: &random) {
        case 0..<8 where !isCalm: restartSender()
        case 8..<12 where !isCalm: restartReceiver()
        case 12..<25 where !isCalm: unbind()
        case 25..<300: offer()
        case 300..<550: draw()
        default: transmit(isCalm: isCalm)
        }
        if !isBound, Int.random(in: 0..<4, using: &random) == 0 {
            isBound = true
            sender.bound(mtu: [16, 40, 48, 100, 2_048][Int.random(in: 0..<5, using: &random)])
        }
        collect()
    }

    // MARK: Owner

    private mutating func offer() {
        if waiting.isEmpty, sender.unitCount == 0 {
            // Everything is finished, and yet something is missing that a receiver took with it.
            waiting = (0..<total).filter { !arrived.contains($0) }
        }
        guard let number = waiting.first else { return }
        let content = Content(offer: nextOffer, number: number)
        let admission = sender.unitOffered(
            bytes(of: content), token: nextOffer, connection: number.isMultiple(of: 3) ? 9 : 0)
        guard admission == .accepted else { return }
        waiting.removeFirst()
        made.insert(content)
        offered[nextOffer] = content
        nextOffer += 1
    }

    private func bytes(of content: Content) -> ByteBuffer {
        var filler = SeededGenerator(seed: content.number)
        let count = Int.random(in: 0...Int.random(in: 1...400, using: &filler), using: &filler)
        switch dialect {
        case .skywave:
            var bytes = ByteBuffer()
            bytes.writeMultipleIntegers(content.offer, content.number)
            for _ in 0..<count { bytes.writeInteger(UInt8.random(in: 0...255, using: &filler)) }
            return bytes
        case .xep:
            let pieces = ["a", "b", "cd", "€", " ", "&lt;", "/", "<i/>", "<i>ü</i>"]
            let text = (0..<count / 2).map { _ in pieces[Int.random(in: 0..<pieces.count, using: &filler)] }.joined()
            return ByteBuffer(string: "<m o='\(content.offer)' n='\(content.number)'><b>\(text)</b></m>")
        }
    }

    private func content(of bytes: ByteBuffer) -> Content? {
        switch dialect {
        case .skywave:
            var bytes = bytes
            guard let (offer, number) = bytes.readMultipleIntegers(as: (UInt64, UInt64).self) else { return nil }
            return Content(offer: offer, number: number)
        case .xep:
            let parts = String(buffer: bytes).split(separator: "'", maxSplits: 4)
            guard parts.count == 5, let offer = UInt64(parts[1]), let number = UInt64(parts[3]) else { return nil }
            return Content(offer: offer, number: number)
        }
    }

    private mutating func collect() {
        while let event = receiver.nextEvent() {
            switch event {
            case .unit(let unit):
                guard let content = content(of: unit.bytes), made.contains(content), bytes(of: content) == unit.bytes else {
                    return fail("a unit that nobody sent: \(unit)")
                }
                let isNew = arrivedInThisLife.insert(content).inserted
                if !isNew, dialect == .skywave { return fail("\(content) came twice") }
                arrived.insert(content.number)
            case .lost(_, _, _, let reason):
                switch reason {
                case .truncated, .superseded: if dialect == .skywave { return fail("lost: \(reason)") }
                default: return fail("lost: \(reason)")
                }
            }
        }
        while let event = sender.nextEvent() {
            switch event {
            case .finished(let token):
                guard let content = offered.removeValue(forKey: token) else { return fail("\(token) ended twice") }
                if !arrived.contains(content.number) {
                    guard excused.contains(token) else { return fail("\(content) is finished and did not arrive") }
                }
            case .failed(let token, let reason):
                guard let content = offered.removeValue(forKey: token) else { return fail("\(token) ended twice") }
                if reason == .tooLarge { return fail("\(content) too large") }
                if !arrived.contains(content.number) { waiting.append(content.number) }
            }
        }
    }

    private mutating func fail(_ text: String) { violation = violation ?? "\(text), after \(steps) steps" }

    // MARK: Nodes

    private mutating func draw() {
        for _ in 0..<Int.random(in: 1...6, using: &random) where node.count < 20 {
            guard let uPDU = sender.nextUPDU(now: now) else { return }
            node.append(InNode(uPDU: uPDU, isCopy: false))
        }
    }

    private mutating func note(_ uPDU: RCOPUPDU) {
        var bytes = uPDU.bytes
        guard let header = RCOPHeader(reading: &bytes) else { return fail("no header") }
        // The beginning of a unit ends all that was held of others.
        if header.segment == 0 { begun[header.connection] = [] }
        begun[header.connection, default: []].insert(header.unit)
    }

    private mutating func transmit(isCalm: Bool) {
        guard isBound, !node.isEmpty else { return }
        if dialect == .skywave, !isCalm, Int.random(in: 0..<5, using: &random) == 0 {
            node.append(node.removeFirst())
            return
        }
        let next = node.removeFirst()
        let chance = isCalm ? 0 : Int.random(in: 0..<100, using: &random)
        guard !next.isCopy else { return deliver(next) }
        switch chance {
        case 0..<60:
            deliver(next)
            sender.uPDUConfirmed(next.uPDU.ticket)
        case 60..<68:
            deliver(next)
            deliver(next)
            sender.uPDUConfirmed(next.uPDU.ticket)
            sender.uPDUConfirmed(next.uPDU.ticket)
        case 68..<74:
            deliver(next)
            if dialect == .skywave { node.append(InNode(uPDU: next.uPDU, isCopy: true)) }
            sender.uPDUConfirmed(next.uPDU.ticket)
        case 74..<80:
            deliver(next)
            sender.uPDULost(next.uPDU.ticket)
            if Bool.random(using: &random) { sender.uPDUConfirmed(next.uPDU.ticket) }
        case 80..<90: sender.uPDULost(next.uPDU.ticket)
        case 90..<94: sender.uPDURejected(next.uPDU.ticket, .destinationSAPNotBound, now: now)
        case 94..<97: sender.uPDURejected(next.uPDU.ticket, .destinationNotResponding, now: now)
        default: sender.uPDURejected(next.uPDU.ticket, .timeToLiveExpired, now: now)
        }
    }

    private mutating func deliver(_ item: InNode) {
        note(item.uPDU)
        receiver.uPDUReceived(item.uPDU.bytes, from: .ship, now: now)
    }

    /// What the node still holds arrives, or does not; nobody hears of it.
    private mutating func empty() -> [InNode] {
        defer { node = [] }
        for item in node where Bool.random(using: &random) { deliver(item) }
        return node
    }

    private mutating func unbind() {
        guard isBound else { return }
        isBound = false
        sender.unbound()
        for item in empty() where !item.isCopy { sender.uPDULost(item.uPDU.ticket) }
    }

    // MARK: Restarts

    private mutating func restartSender() {
        _ = empty()
        collect()
        // What comes together under one number is told apart by a checksum. XML has none, so there the numbers of two lives
        // are kept apart, as chance does nearly always.
        var first = UInt8.random(in: 0...10, using: &random)
        if dialect == .xep {
            let used = begun.values.reduce(into: Set<UInt8>()) { $0.formUnion($1) }
            let start = UInt8.random(in: 0...255, using: &random)
            let free = (0...255 as ClosedRange<UInt8>).map { $0 &+ start }.first { number in
                (0..<48 as Range<UInt8>).allSatisfy { !used.contains(number &+ $0) }
            }
            first = free ?? start
        }
        sender = RCOPSender(Self.senderConfiguration(dialect), firstNumber: first)
        isBound = false
        waiting = offered.keys.sorted().compactMap { offered[$0]?.number }.filter { !arrived.contains($0) } + waiting
        offered = [:]
    }

    private mutating func restartReceiver() {
        receiver = RCOPReceiver(Self.receiverConfiguration(dialect))
        arrivedInThisLife = []
        begun = [:]
        excused.formUnion(offered.keys)
    }
}
