import Blocks
package import NIOCore
import Outbox
import XMPP

// Blocks (dialect `skywave`): what a turn on the link is used for.
extension PeerStateMachine {
    /// Uses a link that is ready: what is due goes; else says when the hold policy lets something go.
    ///
    /// What was cut before goes first, from the lowest number on. While a stanza goes in parts, or the normal lane waits for
    /// other reasons, every other block is an express one, if something may overtake.
    mutating func takeTurn(now: NIODeadline) -> NIODeadline? {
        var held: NIODeadline?
        let hasUncutExpress = sent[Lane.express].hasUncut
        var willCut = hasUncutExpress && session.canCut(.express)
        if session.canCut(.normal) {
            if sent[Lane.normal].hasUncut {
                willCut = true
            } else if !outbox.isEmpty {
                held = heldUntil(now: now)
                if held == nil { willCut = true }
            }
        }
        if let block = session.nextServiceBlock(now: now, willCut: willCut) {
            leave(block, isUrgent: false, now: now)
            return held
        }
        if held == nil, let expiry = outbox.nextExpiry, expiry <= clock.milliseconds(now) { expire(now: now) }
        // The normal lane is open and waits for more, and nothing may go before it.
        if held != nil, !hasUncutExpress { return held }
        guard !cutSomething(mayTakeNew: held == nil, now: now) else { return nil }
        if willCut, let block = session.nextServiceBlock(now: now, willCut: false) {
            leave(block, isUrgent: false, now: now)
        }
        return held
    }

    /// Uses a link that takes only what is urgent: a block of the express lane goes.
    mutating func takeUrgentTurn(now: NIODeadline) {
        if let acknowledgement = session.nextOvertakingAcknowledgement(now: now) {
            return leave(acknowledgement, isUrgent: true, now: now)
        }
        guard session.canCut(.express) else { return }
        if sent[Lane.express].hasUncut {
            _ = cutAgain(.express, now: now)
        } else if policy.cutsForUrgency, outbox.hasUrgent {
            if let expiry = outbox.nextExpiry, expiry <= clock.milliseconds(now) { expire(now: now) }
            _ = cutNewExpress(overtaking: true, isUrgentOnly: true, now: now)
        }
    }

    private mutating func heldUntil(now: NIODeadline) -> NIODeadline? {
        guard !(policy.cutsForUrgency && outbox.hasUrgent), outbox.stanzaCount - waitingCopies.count < policy.batchStanzas,
            outbox.byteCount < blockText
        else { return nil }
        let enough: Int? =
            if case .bytes(let bytes, _) = policy.hold { session.textBytes(forBlockBytes: bytes) } else { nil }
        return heldUntil(now: now, enoughBytes: enough)
    }

    /// Keeps count of what waits and goes with the one before it: it does not fill a block. A copy that does not stand beside
    /// the other is not counted, and cuts a block early; where copies expire before they leave, a block waits for its hold.
    mutating func noteCopy(_ stanza: Stanza) {
        guard speaksBlocks, policy.hold != .turn else { return }
        let foldable = FoldableStanza(stanza)
        if let foldable, let last = waitingCopies.last, foldable.isAlike(last), outbox.stanzaCount > waitingCopies.count + 1 {
            waitingCopies.count += 1
        }
        waitingCopies.last = foldable
    }

    /// Canonical bytes that fill a block.
    private var blockText: Int {
        let room = linkRoom.map { max($0, Self.leastBlockBytes) } ?? .max
        return max(1, session.textBytes(forBlockBytes: min(policy.blockBytes, room)))
    }

    /// Blocks are not made smaller than so many bytes because the link carries little: each has a header, and begins with what
    /// the compressor has not seen yet.
    private static let leastBlockBytes = 4 << 10

    private mutating func cutSomething(mayTakeNew: Bool, now: NIODeadline) -> Bool {
        let canExpress = session.canCut(.express)
        let canNormal = session.canCut(.normal)
        if canExpress, sent[Lane.express].hasUncut { return cutAgain(.express, now: now) }
        let isOccupied = sent[Lane.normal].hasUncut || !canNormal
        if canExpress, isOccupied, !wasExpressLast || !canNormal, cutNewExpress(overtaking: true, now: now) { return true }
        guard canNormal else { return false }
        if let next = sent[Lane.normal].nextUncut {
            // A number that several share goes in one block, even where blocks have become smaller since it was given.
            let goesInParts = next.entry.stanza.byteCount > blockText && !sent[Lane.normal].isNextUncutShared
            return goesInParts || isInParts(next) ? cutPart(next, now: now) : cutAgain(.normal, now: now)
        }
        guard mayTakeNew else { return false }
        if cutNewNormal(now: now) { return true }
        return canExpress && cutNewExpress(overtaking: false, now: now)
    }

    private func isInParts(_ next: NumberedEntry) -> Bool { partNumber == next.number }

    // MARK: New stanzas

    private mutating func cutNewNormal(now: NIODeadline) -> Bool {
        let limit = blockText
        let isUrgent = outbox.hasUrgent
        if sent[Lane.express].isEmpty,
            let entries = outbox.takePlain(
                maximumBytes: limit, maximumStanzas: policy.batchStanzas, now: clock.milliseconds(now),
                { !$0.hasChild(.securityLabel) }),
            !entries.isEmpty
        {
            let records = StanzaFolder.fold(entries)
            let number = giveNumbers(records, .normal, areCut: true)
            cut(records, from: number, .normal, context: 0, isUrgent: isUrgent, now: now)
            return true
        }
        var block = selection(waiting: outbox.stanzaCount)
        let barred = sent[Lane.express].pairs
        let entries = outbox.take { entry, stanzaClass in
            if barred.contains(entry.stanza.pairHash) { return .passOver }
            return block.offer(entry, stanzaClass, lane: .normal)
        }
        contexts = block.contexts
        guard let first = entries.first else { return false }
        let isLarge = first.stanza.byteCount > limit
        let records = block.ordered(entries)
        let number = giveNumbers(records, .normal, areCut: !isLarge)
        if isLarge, let next = sent[Lane.normal].nextUncut { return cutPart(next, now: now) }
        cut(records, from: number, .normal, context: block.context ?? 0, isUrgent: block.isUrgent, now: now)
        return true
    }

    /// - Parameter overtaking: true while the normal lane is occupied: then only what is urgent or not less so than the
    ///   stanza that goes in parts.
    /// - Parameter isUrgentOnly: only what is urgent, whatever goes in parts.
    private mutating func cutNewExpress(overtaking: Bool, isUrgentOnly: Bool = false, now: NIODeadline) -> Bool {
        guard !outbox.isEmpty else { return false }
        var least: UInt8 = 0
        let classes = policy.classes
        if overtaking {
            least = classes.priority(.urgent)
            if !isUrgentOnly, let part = sent[Lane.normal].nextUncut, isInParts(part) {
                least = min(least, classes.priority(classes.stanzaClass(part.entry.stanza)))
            }
        }
        var block = selection(waiting: outbox.stanzaCount)
        // Asked with every stanza that comes in while the link waits for acknowledgements: nothing here may depend on how
        // many others wait or are under way.
        var barred: Set<UInt64>?
        let lane = sent[Lane.normal]
        let entries = outbox.take(atLeast: least) { entry, stanzaClass in
            guard classes.priority(stanzaClass) >= least else { return .passOver }
            let pairs = barred ?? lane.pairs
            barred = pairs
            if pairs.contains(entry.stanza.pairHash) { return .passOver }
            return block.offer(entry, stanzaClass, lane: .express)
        }
        contexts = block.contexts
        guard !entries.isEmpty else { return false }
        let records = block.ordered(entries)
        let number = giveNumbers(records, .express, areCut: true)
        cut(records, from: number, .express, context: block.context ?? 0, isUrgent: block.isUrgent, now: now)
        return true
    }

    /// A block that is to be filled.
    ///
    /// - Parameter waiting: how many stanzas without a number may be offered.
    private func selection(waiting: Int) -> BlockSelection {
        BlockSelection(
            maximumBytes: blockText, maximumRecords: policy.batchStanzas, contexts: contexts, waiting: waiting)
    }

    private mutating func giveNumbers(_ records: OutboxRecords, _ lane: Lane, areCut: Bool) -> UInt64 {
        waitingCopies = (0, nil)
        let number = session.nextNumber(lane)
        sent[lane].number(records, from: number, areCut: areCut)
        for entry in records.entries { counters.sent.add(entry.stanza.kind) }
        if journal.isOn, records.entries.contains(where: \.isRecorded) {
            journal.add(.put(lane.numbers, id: number, .bytes(NumbersRow.encode(records)), time: 0))
        }
        noteSent()
        return number
    }

    /// - Parameter time: service time now.
    private static func ageSeconds(_ entry: OutboxEntry, time: UInt64) -> UInt32 {
        guard time > entry.arrival + DelayStamp.leastAge else { return 0 }
        return UInt32(clamping: (time - entry.arrival) / 1_000)
    }

    private mutating func cut(
        _ records: OutboxRecords, from number: UInt64, _ lane: Lane, context: UInt8, isUrgent: Bool, now: NIODeadline
    ) {
        var stanzas: [OutgoingStanza] = []
        stanzas.reserveCapacity(records.count)
        var text = 0
        let time = clock.milliseconds(now)
        records.forEach { record in
            for entry in record { text += entry.stanza.byteCount }
            if record.count > 1 { traffic.cutRecord(record[record.startIndex].stanza.kind, stanzas: record.count) }
            stanzas.append(Self.outgoing(record, time: time))
        }
        let block = session.cut(stanzas, lane: lane, firstNumber: number, context: context, now: now)
        traffic.cut(text: text)
        wasExpressLast = lane == .express
        leave(block, isUrgent: isUrgent || lane == .express, now: now)
    }

    /// What crosses for a record; for several stanzas the first, with the addresses of all and the age of the oldest.
    private static func outgoing(_ record: ArraySlice<OutboxEntry>, time: UInt64) -> OutgoingStanza {
        let first = record[record.startIndex]
        guard record.count > 1 else { return OutgoingStanza(stanza: first.stanza, ageSeconds: ageSeconds(first, time: time)) }
        return OutgoingStanza(
            stanza: first.stanza, recipients: record.compactMap { FoldableStanza($0.stanza)?.value },
            ageSeconds: record.reduce(0) { max($0, ageSeconds($1, time: time)) })
    }

    // MARK: Again, and in parts

    private mutating func cutAgain(_ lane: Lane, now: NIODeadline) -> Bool {
        var block = selection(waiting: 0)
        let classes = policy.classes
        let again = sent[lane].recut { record in
            block.offerAgain(record, isUrgent: record.contains { classes.stanzaClass($0.stanza) == .urgent })
        }
        contexts = block.contexts
        guard let first = again.first else { return false }
        cut(
            OutboxRecords(again), from: first.number, lane, context: block.context ?? 0, isUrgent: block.isUrgent, now: now)
        return true
    }

    private mutating func cutPart(_ next: NumberedEntry, now: NIODeadline) -> Bool {
        let age = Self.ageSeconds(next.entry, time: clock.milliseconds(now))
        let stanza = OutgoingStanza(stanza: next.entry.stanza, ageSeconds: age)
        let part = session.cutPart(
            of: stanza, number: next.number, context: contexts.context(of: next.entry.stanza), bytes: blockText, now: now)
        partNumber = part.isComplete ? nil : next.number
        if part.isComplete {
            sent[Lane.normal].lastPartCut()
            traffic.cut(text: next.entry.stanza.byteCount)
        }
        wasExpressLast = false
        leave(part.block, isUrgent: false, now: now)
        return true
    }

    /// Gives a block to the link as soon as what it rests on is durable.
    private mutating func leave(_ block: ByteBuffer, isUrgent: Bool, now: NIODeadline) {
        // A block that changed nothing durable, such as an acknowledgement, waits for nothing.
        cutBlock = (collectSessionRecords() ? journal.gate : 0, block, isUrgent)
        linkBeforeCut = link
        link = .busy
        lastSent = now
    }

    // MARK: Receiving

    /// A whole block from the peer's link.
    package mutating func linkBlockReceived(_ block: ByteBuffer, now: NIODeadline) {
        guard speaksBlocks, link != .down else { return }
        traffic.receivedBlock(block.readableBytes)
        if isIntakeHeld || isLinkHeld || !heldBlocks.isEmpty {
            hold(block, now: now)
        } else {
            session.blockReceived(block, now: now)
        }
        drawSession(now: now)
        settle(now: now)
    }

    /// True: nothing can be taken from the link at the moment; what comes is kept.
    package mutating func intakeHeld(_ isHeld: Bool, now: NIODeadline) {
        isIntakeHeld = isHeld
        takeHeldBlocks(now: now)
        settle(now: now)
    }

    private mutating func hold(_ block: ByteBuffer, now: NIODeadline) {
        guard session.blockHeld(block, now: now) else { return }
        // Where the transport loses blocks, the peer sends again what it is not told of.
        guard !heldBlocks.isFull || policy.linkSession.repeatAfter == nil else { return }
        heldBlocks.append(block)
        session.blocksHeld(true, now: now)
        guard heldBlocks.isFull, !heldBlocks.hasStoppedReading else { return }
        heldBlocks.hasStoppedReading = true
        actions.append(.stopReading(true))
    }

    /// Reads what was kept, as far as it can be taken now.
    mutating func takeHeldBlocks(now: NIODeadline) {
        guard !heldBlocks.isEmpty else { return }
        while !isIntakeHeld, !isLinkHeld, let block = heldBlocks.popFirst() {
            session.blockReceived(block, now: now)
            drawSession(now: now)
            pumpInbox(now: now)
        }
        guard heldBlocks.isEmpty else { return }
        session.blocksHeld(false, now: now)
        goOnReading()
    }

    /// The connection is gone.
    mutating func dropHeldBlocks() {
        heldBlocks.removeAll()
        goOnReading()
    }

    private mutating func goOnReading() {
        guard heldBlocks.hasStoppedReading else { return }
        heldBlocks.hasStoppedReading = false
        actions.append(.stopReading(false))
    }

    /// What the session reports, and what it wants recorded.
    mutating func drawSession(now: NIODeadline) {
        while let event = session.nextEvent() {
            switch event {
            case .received(let items, let ordinal): received(items, ordinal: ordinal, now: now)
            case .acknowledged(let lane, let number): acknowledged(lane, through: number)
            case .sessionStarted: sessionStarted()
            case .epochStarted: epochStarted()
            case .peerRecognised(let remark): peerRecognised(remark, now: now)
            case .failed(let failure): failed(failure)
            case .noted(let note): count(PeerEvent(note))
            }
        }
        _ = collectSessionRecords()
    }

    /// True when there were any.
    private mutating func collectSessionRecords() -> Bool {
        let records = session.takeRecords()
        for record in records { journal.add(record) }
        return !records.isEmpty
    }

    private mutating func received(_ items: [ReceivedItem], ordinal: UInt64, now: NIODeadline) {
        for item in items {
            switch item {
            case .stanza(let stanza, let age): takeFromLink(stanza, ageSeconds: age, now: now)
            case .poison(let bytes, let reason): setAside(Array(bytes.readableBytesView), reason: reason, .poison, now: now)
            }
        }
        guard journal.isOn else {
            session.committed(ordinal, now: now)
            return
        }
        // With the session's records, in the same batch.
        _ = collectSessionRecords()
        receivedOrdinals.append((journal.gate, ordinal))
    }

    /// Keeps what could not be read for the operator.
    mutating func setAside(_ bytes: [UInt8], reason: String, _ event: PeerEvent, now: NIODeadline) {
        count(event)
        ids.poison += 1
        let time = clock.milliseconds(now)
        journal.add(.put(.poison, id: ids.poison, .bytes(PoisonList.row(bytes, reason: reason)), time: time))
        let entry = PeerStatus.Poison(id: ids.poison, bytes: bytes.count, reason: reason, since: time)
        if let old = poison.add(entry, content: bytes) { journal.remove(.poison, id: old) }
    }

    private mutating func acknowledged(_ lane: Lane, through number: UInt64) {
        let (done, rows) = sent[lane].acknowledged(through: number)
        for entry in done where entry.isRecorded { journal.remove(.outbox, id: entry.id) }
        if let rows { journal.add(.removeThrough(lane.numbers, id: rows)) }
        acknowledgedCount &+= UInt64(done.count)
        // Whatever it was, it is over.
        lastFailure = nil
        noteSent()
    }

    private mutating func sessionStarted() {
        for lane in Lane.allCases { sent[lane].sessionStarted() }
        partNumber = nil
        firstBlockGiven = nil
        contexts.reset()
        wasExpressLast = false
        // A block of the session before would only be thrown away at the other end.
        if cutBlock != nil {
            cutBlock = nil
            link = linkBeforeCut
        }
    }

    /// Numbers are void: what had one waits again, in its old place.
    private mutating func epochStarted() {
        for lane in Lane.allCases {
            outbox.putBack(sent[lane].removeAll())
            journal.add(.removeThrough(lane.numbers, id: UInt64(Int64.max)))
        }
        partNumber = nil
        noteSent()
    }

    private mutating func noteSent() {
        outbox.sentStanzas = sent[Lane.normal].count + sent[Lane.express].count
        outbox.sentBytes = sent[Lane.normal].byteCount + sent[Lane.express].byteCount
    }

    private mutating func failed(_ failure: LinkSessionFailure) {
        count(.linkFailed)
        switch failure {
        case .version(let own, let peer):
            lastFailure =
                "the peer speaks version \(peer) of the link protocol, this side \(own): bring both to the same release"
            actions.append(.failLink(StreamError(.unsupportedVersion, text: lastFailure)))
        case .malformed:
            lastFailure = "the peer sent what is no block: check that both sides name the same dialect and peer"
            actions.append(.failLink(StreamError(.badFormat, text: lastFailure)))
        case .unsettled:
            lastFailure =
                "the peer asks for a new session again and again and acknowledges nothing: the link is tried again; if that goes on, look at the journal of the peer"
            actions.append(.failLink(StreamError(.policyViolation, text: lastFailure)))
        case .silent:
            lastFailure = "the peer acknowledged nothing for too long: the link is tried again"
            actions.append(.failLink(StreamError(.connectionTimeout, text: lastFailure)))
        }
    }
}

extension Lane {
    /// Where the numbers of the lane are recorded.
    var numbers: JournalTable { self == .normal ? .normalNumbers : .expressNumbers }
}

extension [SentLane] {
    subscript(lane: Lane) -> SentLane {
        _read { yield self[Int(lane.rawValue)] }
        _modify { yield &self[Int(lane.rawValue)] }
    }
}
