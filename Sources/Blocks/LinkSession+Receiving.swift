package import NIOCore
import Outbox
import XMPP

extension LinkSession {
    /// A whole block arrived.
    package mutating func blockReceived(_ block: ByteBuffer, now: NIODeadline) {
        guard isConnected else { return }
        var rest = block
        let header: BlockHeader
        do throws(BlockError) {
            guard let read = try BlockHeader(reading: &rest) else { throw .malformed("a block that ends in its header") }
            guard rest.readableBytes == read.body?.length ?? 0 else { throw .malformed("a block of another length") }
            header = read
        } catch {
            return refuse(error)
        }
        switch header.opening {
        case .refusal(let refusal): return refused(refusal)
        case .session(let opening) where mayOpen(header, opening): guard open(opening, header, now: now) else { return }
        case .session, nil: break
        }
        guard peerSession != 0, header.session == UInt8(truncatingIfNeeded: peerSession) & 0x0F else {
            note(.lateBlock)
            // Our refusal may have been lost.
            if peerSession == 0, let unreadableSession, header.session == UInt8(truncatingIfNeeded: unreadableSession) & 0x0F {
                pendingRefusal = .unknownHistory(session: unreadableSession)
            }
            unknownSessionReceived(now: now)
            return
        }
        heard(header, now: now)
        if let body = header.body { bodyReceived(body, rest, now: now) }
    }

    /// A whole block arrived that the owner cannot take yet. What its header acknowledges or refuses counts at once, and so does
    /// the opening of the session to read next: the other side has to hear that this one lives. The body comes again, with
    /// ``blockReceived(_:now:)``, in its turn.
    ///
    /// - Returns: whether there is anything else in it.
    package mutating func blockHeld(_ block: ByteBuffer, now: NIODeadline) -> Bool {
        guard isConnected else { return false }
        var rest = block
        guard let header = try? BlockHeader(reading: &rest), rest.readableBytes == header.body?.length ?? 0 else { return true }
        switch header.opening {
        case .refusal(let refusal):
            refused(refusal)
            return false
        case .session(let opening):
            // An opening that follows on a session whose blocks may still wait has to wait for them.
            guard mayOpen(header, opening), peerSession == 0 || opening.session == peerSession else { return true }
            guard open(opening, header, now: now) else { return false }
        case nil:
            break
        }
        if peerSession != 0, header.session == UInt8(truncatingIfNeeded: peerSession) & 0x0F { heard(header, now: now) }
        return header.body != nil || peerSession == 0
    }

    /// The other side lives, if it knows this session, and says what it has.
    private mutating func heard(_ header: BlockHeader, now: NIODeadline) {
        guard isAboutThisSession(header) else { return }
        heardAt = now
        acknowledgementReceived(header, now: now)
    }

    /// Whether the counts of a header are those of our present session: its four bits of a session say so only where the
    /// other side is known to have been in our epoch, and not many sessions ago. What a run from before a restored copy has
    /// sent may arrive after it, and be acknowledged with the same bits.
    private func isAboutThisSession(_ header: BlockHeader) -> Bool {
        namedByPeer.epoch == sending.epoch && sending.session < namedByPeer.session + Self.distinctSessions
            && header.acknowledgedSession == UInt8(truncatingIfNeeded: sending.session) & 0x0F
    }

    /// What ``LinkSessionEvent/received(_:ordinal:)`` brought is durable, and all before it.
    package mutating func committed(_ ordinal: UInt64, now: NIODeadline) {
        while let first = uncommitted.first, first.ordinal <= ordinal {
            uncommitted.removeFirst()
            incoming[Int(first.lane.rawValue)].committed += 1
            if first.lane == .express { owesExpressAcknowledgement = true }
            owe(by: now + configuration.acknowledgementDelay)
        }
    }

    mutating func owe(by deadline: NIODeadline) {
        acknowledgementDeadline = min(acknowledgementDeadline ?? deadline, deadline)
    }

    // MARK: Refusals

    private mutating func refuse(_ error: BlockError) {
        switch error {
        case .unsupportedVersion(let version):
            pendingRefusal = .version(BlockOpening.version)
            events.append(.failed(.version(own: BlockOpening.version, peer: version)))
        case .malformed, .reservedFlag, .damaged, .tooLarge:
            note(.damagedBlock)
            // A transport that loses blocks may damage them too; one that does neither has a peer that breaks the rules.
            if configuration.repeatAfter == nil { events.append(.failed(.malformed(error))) }
        }
    }

    /// The other side cannot read our session.
    private mutating func refused(_ refusal: SessionRefusal) {
        switch refusal {
        case .version(let version):
            events.append(.failed(.version(own: BlockOpening.version, peer: version)))
        case .unknownHistory(let session):
            guard session == sending.session else { return note(.lateBlock) }
            note(.historyRefused)
            refusals += 1
            guard refusals <= 4 else { return events.append(.failed(.malformed(.damaged))) }
            guard mayBeginAgain() else { return }
            if sentText.end == 0 || refusals > 1 { refusedDictionary = true }
            forgetSentText()
            beginSession()
        case .restored(let epoch, let session, let seen):
            // A refusal of an earlier session says nothing about this one, unless more was seen than there ever was.
            guard epoch == sending.epoch, session == sending.session || seen > sending.session else {
                return note(.lateBlock)
            }
            guard mayBeginAgain() else { return }
            beginEpochAfterRestore()
        }
    }

    /// Whether what the peer says may make us begin another session: not without end, where nothing gets through in between.
    mutating func mayBeginAgain() -> Bool {
        beginnings += 1
        if beginnings == Self.maximumBeginnings { events.append(.failed(.unsettled)) }
        return beginnings < Self.maximumBeginnings
    }

    // MARK: Bodies

    private mutating func bodyReceived(_ body: BlockHeader.Body, _ bytes: ByteBuffer, now: NIODeadline) {
        let index = Int(body.lane.rawValue)
        let ahead = UInt64(body.block &- UInt8(truncatingIfNeeded: incoming[index].count))
        guard ahead < 128 else {
            note(.duplicateBlock)
            // Perhaps because it does not know yet that our acknowledgements are about it.
            isRenewalDue = needsRenewal
            if body.lane == .express { owesExpressAcknowledgement = true }
            return owe(by: now)
        }
        guard ahead == 0 else { return keepEarly(body, bytes, number: incoming[index].count + ahead, now: now) }
        read(body, bytes, now: now)
        while peerSession != 0, let next = incoming[index].early.removeValue(forKey: incoming[index].count) {
            incoming[index].earlyBytes -= next.bytes.readableBytes
            read(next.body, next.bytes, now: now)
        }
    }

    private mutating func keepEarly(_ body: BlockHeader.Body, _ bytes: ByteBuffer, number: UInt64, now: NIODeadline) {
        let index = Int(body.lane.rawValue)
        note(.gap)
        owe(by: now)
        guard incoming[index].early[number] == nil,
            incoming[index].earlyBytes + bytes.readableBytes <= configuration.limits.textBytes
        else { return }
        incoming[index].early[number] = (body, bytes)
        incoming[index].earlyBytes += bytes.readableBytes
    }

    /// Reads the body whose turn it is.
    private mutating func read(_ body: BlockHeader.Body, _ bytes: ByteBuffer, now: NIODeadline) {
        let decoded: DecodedBody
        var items: [ReceivedItem] = []
        let (normal, express) = (receiving.received[0], receiving.received[1])
        do throws(BlockError) {
            decoded = try decode(body, bytes)
            let index = Int(body.lane.rawValue)
            if let jump = body.jump {
                guard jump > 0, incoming[index].nextNumber.map({ jump >= $0 }) ?? true else {
                    throw .malformed("numbers that go backwards")
                }
                // Numbers are counted from 1: nobody gets there, and counting on must not overflow.
                guard jump <= BlockOpening.highestNumber else { throw .malformed("a number that nobody can reach") }
                incoming[index].nextNumber = jump
            }
            for record in decoded.records { try take(record, lane: index, into: &items) }
            // What has a number goes first: a session that begins with nothing has no use for parts, which a restored copy may hold
            // of a stanza that came whole since.
            if body.lane == .normal, incoming[0].count == 0, decoded.records.isEmpty { records += fragments.clear() }
        } catch {
            note(.damagedBlock)
            // Everything after it hangs on the same history: the other side begins again.
            pendingRefusal = .unknownHistory(session: peerSession)
            unreadableSession = peerSession
            peerSession = 0
            decoders = []
            // Of this block nothing is kept. And what was counted is not to be told any more: the low bits of no session are
            // also those of sessions 16, 32 …, of which it would acknowledge what never arrived.
            (receiving.received[0], receiving.received[1]) = (normal, express)
            resetIncoming()
            return
        }
        let index = Int(body.lane.rawValue)
        incoming[index].count += 1
        if body.lane == .normal {
            if body.context == 0, decoded.text.readableBytes > 0 { keepText(decoded.text) }
            blockEnds.append((incoming[0].count, receivedText.end))
            if blockEnds.count > 256 { blockEnds.removeFirst() }
        }
        records.append(receiving.record)
        uncommitted.append((nextOrdinal, body.lane))
        events.append(.received(items, ordinal: nextOrdinal))
        nextOrdinal += 1
    }

    private mutating func keepText(_ text: ByteBuffer) {
        receivedText.append(text)
        records.append(.put(.receivedText, id: receivedText.end, .bytes(Array(text.readableBytesView)), time: 0))
        let kept = UInt64(LinkText.window + configuration.windowText + (256 << 10))
        if receivedText.end > kept { records.append(.removeThrough(.receivedText, id: receivedText.end - kept)) }
    }

    private mutating func decode(_ body: BlockHeader.Body, _ bytes: ByteBuffer) throws(BlockError) -> DecodedBody {
        guard body.lane == .normal else {
            let box = DecoderBox(BodyDecoder(history: try expressHistory(body), limits: configuration.limits))
            return try box.decoder.decode(bytes)
        }
        while decoders.count <= Int(body.context) { decoders.append(nil) }
        let box: DecoderBox
        if let known = decoders[Int(body.context)] {
            box = known
        } else {
            let history =
                body.context != 0 ? ByteBuffer() : receivedText.end > 0 ? receivedText.tail : peerDictionary ?? ByteBuffer()
            box = DecoderBox(BodyDecoder(history: history, limits: configuration.limits))
            decoders[Int(body.context)] = box
        }
        return try box.decoder.decode(bytes)
    }

    /// The text of the normal lane as the sender knew it to have arrived.
    private func expressHistory(_ body: BlockHeader.Body) throws(BlockError) -> ByteBuffer {
        guard body.context == 0 else { return ByteBuffer() }
        let count = incoming[0].count
        let back = UInt64(UInt8(truncatingIfNeeded: count) &- body.base)
        guard back <= count, let end = blockEnds.last(where: { $0.count == count - back })?.position else {
            throw .damaged
        }
        guard end > 0 else { return peerDictionary ?? ByteBuffer() }
        guard let tail = receivedText.tail(at: end) else { throw .damaged }
        return tail
    }

    private mutating func take(
        _ record: DecodedBody.Record, lane: Int, into items: inout [ReceivedItem]
    ) throws(BlockError) {
        guard let number = incoming[lane].nextNumber else { throw .malformed("a stanza without a number") }
        switch record {
        case .stanzas(let stanzas, let age):
            guard isNew(number, lane) else { return }
            for stanza in stanzas { items.append(.stanza(stanza, ageSeconds: age)) }
        case .poison(let bytes, let reason):
            guard isNew(number, lane) else { return }
            items.append(.poison(bytes, reason: reason))
        case .fragment(let bytes, let offset, let total, let age):
            let ends = Int(offset) + bytes.readableBytes >= Int(total)
            guard lane == 0 else { throw .malformed("a part in the express lane") }
            guard number > receiving.received[0] else {
                if ends { incoming[0].nextNumber = number + 1 }
                return
            }
            guard Int(total) <= configuration.limits.stanzaBytes else { throw .tooLarge("a stanza of \(total) bytes") }
            records += try fragments.add(
                number: number, bytes, offset: Int(offset), total: Int(total), ageSeconds: age)
            guard fragments.isComplete else { return }
            let whole = fragments.bytes
            let age = fragments.ageSeconds
            records += fragments.clear()
            guard isNew(number, 0) else { return }
            items.append(Self.item(whole, ageSeconds: age, limits: configuration.limits))
        }
    }

    /// Counts the number; false for one that has arrived before.
    private mutating func isNew(_ number: UInt64, _ lane: Int) -> Bool {
        incoming[lane].nextNumber = number + 1
        guard number > receiving.received[lane] else {
            note(.duplicateStanza)
            return false
        }
        if number > receiving.received[lane] + 1, receiving.received[lane] > 0 { note(.numbersSkipped) }
        receiving.received[lane] = number
        // Parts of a stanza that came whole after all, or never goes on, are of no use any more.
        if lane == 0, fragments.number <= number { records += fragments.clear() }
        return true
    }

    private static func item(_ bytes: ByteBuffer, ageSeconds: UInt32, limits: BlockLimits) -> ReceivedItem {
        var xml = XMLLimits.local
        xml.stanzaBytes = limits.stanzaBytes
        do throws(StreamError) {
            return .stanza(try StanzaReader(limits: xml).read(bytes), ageSeconds: ageSeconds)
        } catch {
            return .poison(bytes, reason: error.condition.rawValue)
        }
    }
}
