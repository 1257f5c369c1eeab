import Blocks
import BridgeCore
import NIOCore
import TestSupport
import Testing
import XMPP

/// Two peers' machines joined by a link that is slow, cuts stanzas into pieces at any byte, and breaks; in virtual time,
/// from a seed. Servers on both sides answer, fail to answer, answer twice, refuse, and send errors to rooms.
final class LinkSimulation {
    final class Side {
        let peer: TestPeer
        let name: String
        let domain: String
        var encoder: LinkStreamEncoder?
        var decoder: LinkStreamDecoder?
        /// The batch that the machine was not told the end of.
        var batch: [Stanza] = []
        /// True once a piece of ``batch`` was given to the link.
        var batchHasStarted = false
        /// Stanzas of batches that were written and have not arrived.
        var inTransit: [Stanza] = []
        /// Numbers of the messages that local users sent, that reached the other side, and that came back.
        var sentMessages: Set<Int> = []
        var arrivedMessages: Set<Int> = []
        var returnedMessages: Set<Int> = []
        var lostMessages: Set<Int> = []
        /// Sent when the link broke: they come back, and may come back from the other side as well.
        var doubtedMessages: Set<Int> = []
        var lastOfPair: [UInt64: Int] = [:]
        /// Answers per request of a local user.
        var answers: [String: Int] = [:]
        var roomErrorsArrived = 0

        init(_ policy: PeerPolicy, domain: String) {
            peer = TestPeer(policy)
            name = policy.name
            self.domain = domain
        }
    }

    let ship: Side
    let shore: Side
    let compression: LinkCompression?
    var random: SeededGenerator
    private var now = NIODeadline.seconds(0)
    private var isUp = false
    /// Counts connections: what belongs to an earlier one has no effect.
    private var connection = 0
    private var events: [(time: NIODeadline, number: Int, run: () -> Void)] = []
    private var eventNumber = 0
    private var messageNumber = 0
    private(set) var cuts = 0
    private(set) var peakQueued = 0

    init(seed: UInt64, compression: LinkCompression?, _ change: (inout PeerPolicy) -> Void) {
        random = SeededGenerator(seed: seed)
        self.compression = compression
        ship = Side(TestPeer.policy(change), domain: "ship.example")
        shore = Side(TestPeer.mirroredPolicy(change), domain: "shore.example")
    }

    // MARK: Time

    private func at(_ delay: TimeAmount, _ run: @escaping () -> Void) {
        eventNumber += 1
        events.append((now + delay, eventNumber, run))
    }

    private func milliseconds(_ range: Range<Int64>) -> TimeAmount {
        .milliseconds(Int64.random(in: range, using: &random))
    }

    /// Runs everything that happens until `end`, timers included.
    func run(until end: NIODeadline) {
        while true {
            let event = events.indices.min { (events[$0].time, events[$0].number) < (events[$1].time, events[$1].number) }
            var next = event.map { events[$0].time } ?? end
            var timer: Side?
            for side in [ship, shore] {
                if let armed = side.peer.armed, armed < next {
                    next = armed
                    timer = side
                }
            }
            guard next < end else { break }
            now = max(now, next)
            ship.peer.now = now
            shore.peer.now = now
            if let timer {
                timer.peer.fireTimer()
                perform(timer)
            } else if let event {
                events.remove(at: event).run()
            }
        }
        now = end
        ship.peer.now = end
        shore.peer.now = end
    }

    // MARK: The link

    func connect() {
        guard !isUp else { return }
        isUp = true
        connection += 1
        for side in [ship, shore] {
            side.encoder = LinkStreamEncoder(compression: compression)
            side.decoder = LinkStreamDecoder(compression: compression != nil, limits: .link)
        }
        for side in [ship, shore] {
            side.peer.linkConnected()
            perform(side)
            side.peer.linkReady()
            perform(side)
        }
    }

    func cut() {
        guard isUp else { return }
        isUp = false
        connection += 1
        cuts += 1
        for side in [ship, shore] {
            // What the kernel had taken and the other side never got is lost, and nobody can know.
            for stanza in side.inTransit { noteLoss(of: stanza, from: side) }
            side.inTransit = []
            let batch = side.batch
            side.batch = []
            if side.batchHasStarted {
                for stanza in batch where stanza.kind == .message {
                    // An error that is in doubt is sent again: the sender may be told twice.
                    guard let number = stanza.id.flatMap({ Int($0) }) else { continue }
                    if stanza.isError {
                        other(side).doubtedMessages.insert(number)
                    } else {
                        side.doubtedMessages.insert(number)
                    }
                }
            }
            side.peer.linkDisconnected(
                unsent: side.batchHasStarted ? [] : batch, inDoubt: side.batchHasStarted ? batch : [])
            perform(side)
        }
    }

    /// A message is lost, or the error that would have told of one.
    private func noteLoss(of stanza: Stanza, from side: Side) {
        guard stanza.kind == .message, let number = stanza.id.flatMap({ Int($0) }) else { return }
        if stanza.isError { other(side).lostMessages.insert(number) } else { side.lostMessages.insert(number) }
    }

    private func other(_ side: Side) -> Side { side === ship ? shore : ship }

    private func transmit(_ batch: [Stanza], from side: Side) {
        #expect(side.batch.isEmpty, "a batch was sent while another was on its way")
        var bytes = ByteBuffer()
        side.encoder?.encode(batch, into: &bytes)
        side.batch = batch
        side.batchHasStarted = false
        let connection = connection
        let pieces = random.pieces(of: Array(bytes.readableBytesView), largest: 400)
        var delay = milliseconds(0..<20)
        for (index, piece) in pieces.enumerated() {
            delay = delay + .milliseconds(Int64(piece.count / 20) + 1)
            at(delay) { [unowned self] in
                guard self.connection == connection else { return }
                side.batchHasStarted = true
                if index == pieces.count - 1 {
                    side.inTransit += batch
                    side.batch = []
                    side.peer.linkReady()
                    perform(side)
                }
            }
            at(delay + .milliseconds(50)) { [unowned self] in
                guard self.connection == connection else { return }
                arrive(Array(piece), at: other(side), from: side)
            }
        }
    }

    private func arrive(_ piece: [UInt8], at side: Side, from sender: Side) {
        var bytes = ByteBuffer(bytes: piece)
        side.decoder?.read(&bytes)
        while let event = side.decoder?.nextEvent() {
            guard case .stanza(let stanza) = event else {
                Issue.record("the link carried \(event)")
                continue
            }
            if let place = sender.inTransit.firstIndex(of: stanza) { sender.inTransit.remove(at: place) }
            side.peer.link(stanza)
            perform(side)
        }
    }

    // MARK: What the machines want

    private func perform(_ side: Side) {
        for action in side.peer.actions {
            switch action {
            case .send(let batch), .sendUrgent(let batch): transmit(batch, from: side)
            case .deliver(let stanza, _): delivered(stanza, at: side)
            case .failLink(let error): Issue.record("the link was ended: \(error)")
            case .wantLink, .arm, .disarm, .note, .sendBlock, .handled, .holdLink, .stopReading: break
            }
        }
        peakQueued = max(peakQueued, side.peer.status.queuedStanzas)
    }

    /// A stanza reaches the server of a side.
    private func delivered(_ stanza: Stanza, at side: Side) {
        let isForRoom = stanza.to?.domain.string.hasPrefix("club.") == true
        if isForRoom, stanza.isError, stanza.kind != .iq { side.roomErrorsArrived += 1 }
        if stanza.isIQAnswer {
            side.answers[stanza.id ?? "", default: 0] += 1
            return
        }
        if stanza.kind == .message, stanza.isError {
            if let number = stanza.id.flatMap({ Int($0) }) {
                #expect(side.sentMessages.contains(number))
                let isFirst = side.returnedMessages.insert(number).inserted
                #expect(isFirst || side.doubtedMessages.contains(number), "message \(number) came back twice")
            }
            return
        }
        if let number = Self.number(of: stanza) {
            let sender = other(side)
            #expect(sender.arrivedMessages.insert(number).inserted, "message \(number) arrived twice")
            #expect(number > side.lastOfPair[stanza.pairHash] ?? -1, "message \(number) was overtaken")
            side.lastOfPair[stanza.pairHash] = number
        }
        if stanza.isIQRequest { answer(stanza, at: side) }
        // Now and then the server cannot be reached, or sends an error where it should not.
        switch Int.random(in: 0..<20, using: &random) {
        case 0 where stanza.kind == .message && !stanza.isError:
            // The sender is told, though the stanza counts as arrived here: the failure is the server's.
            if let number = Self.number(of: stanza) { other(side).arrivedMessages.remove(number) }
            at(milliseconds(0..<500)) { [unowned self] in
                side.peer.localDeliveryFailed(stanza, .remoteServerTimeout, .wait)
                perform(side)
            }
        case 1 where stanza.from?.domain.string.hasPrefix("club.") == true:
            guard let error = stanza.errorReply(.serviceUnavailable) else { break }
            at(milliseconds(0..<500)) { [unowned self] in fromServer(error, at: side) }
        default:
            break
        }
    }

    private func answer(_ request: Stanza, at side: Side) {
        guard let to = request.from?.description, let from = request.to?.description, let id = request.id else { return }
        var writer = StanzaWriter()
        writer.start("iq", XMLNamespace.server, [("to", to), ("from", from), ("type", "result"), ("id", id)])
        let result = writer.finish()
        let copies = [0, 1, 1, 1, 1, 2].randomElement(using: &random) ?? 1
        for _ in 0..<copies {
            // Some answers come after the timer.
            at(milliseconds(0..<(Int.random(in: 0..<6, using: &random) == 0 ? 90_000 : 2_000))) { [unowned self] in
                fromServer(result, at: side)
            }
        }
    }

    private func fromServer(_ stanza: Stanza, at side: Side) {
        side.peer.local(stanza)
        perform(side)
    }

    private static func number(of stanza: Stanza) -> Int? {
        guard stanza.kind == .message, !stanza.isError else { return nil }
        return stanza.id.flatMap { Int($0) }
    }

    // MARK: Traffic

    /// One local user of a random side says something.
    func speak() throws {
        let side = Bool.random(using: &random) ? ship : shore
        let user = "u\(Int.random(in: 0..<4, using: &random))@\(side.domain)/r\(Int.random(in: 0..<2, using: &random))"
        let peerUser = "v\(Int.random(in: 0..<4, using: &random))@\(other(side).domain)"
        let room = "room\(Int.random(in: 0..<2, using: &random))@club.\(side.domain)/nick"
        messageNumber += 1
        let id = "\(messageNumber)"
        let body = String(repeating: "word ", count: Int.random(in: 0..<60, using: &random))
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<4:
            side.sentMessages.insert(messageNumber)
            fromServer(try message(body, from: user, to: peerUser, id: id), at: side)
        case 4, 5:
            let request = try iq("get", id: "q" + id, from: user, to: peerUser + "/phone")
            side.answers["q" + id] = 0
            fromServer(request, at: side)
        case 6: fromServer(try presence(from: user, to: peerUser), at: side)
        case 7: fromServer(try presence(from: user, to: peerUser, type: "unavailable"), at: side)
        case 8:
            fromServer(try presence(from: room, to: peerUser + "/phone", payload: mucUser), at: side)
        default:
            fromServer(try message(body, from: room, to: peerUser + "/phone", type: "groupchat", id: "room"), at: side)
        }
    }

    /// Runs for a while: traffic at about one stanza per `meanGap`, and cuts of the link.
    func play(steps: Int, meanGap: Int64, cutsEvery: Int) throws {
        connect()
        for _ in 0..<steps {
            try speak()
            run(until: now + milliseconds(0..<2 * meanGap))
            if Int.random(in: 0..<cutsEvery, using: &random) == 0 {
                cut()
                at(milliseconds(10..<20_000)) { [unowned self] in connect() }
            }
        }
    }

    /// Lets everything come to an end with the link up.
    func drain() {
        connect()
        run(until: now + .minutes(10))
    }
}
