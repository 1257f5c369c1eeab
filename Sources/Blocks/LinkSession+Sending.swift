import DequeModule
package import NIOCore
import Outbox
import XMPP

extension LinkSession {
    /// Whether a block of the lane may be cut now: a session is open and its window has room.
    package func canCut(_ lane: Lane) -> Bool {
        guard isConnected else { return false }
        let state = outgoing[Int(lane.rawValue)]
        guard state.unacknowledged.count < min(configuration.windowBlocks, 120) else { return false }
        switch lane {
        case .normal: return state.unacknowledged.isEmpty || unacknowledgedText < configuration.windowText
        case .express: return !needsOpening
        }
    }

    /// Cuts records with contiguous numbers into a block of the lane.
    ///
    /// - Parameters:
    ///   - stanzas: one for each record. One for several must be within the limits of a block (``FoldableStanza``).
    ///   - firstNumber: within a session each lane's numbers only grow; a number that does not follow costs a few bytes.
    ///   - context: 0, or the number of a label set's compression context.
    /// - Returns: the finished block. It may leave when the numbering is durable.
    package mutating func cut(
        _ stanzas: [OutgoingStanza], lane: Lane, firstNumber: UInt64, context: UInt8 = 0, now: NIODeadline
    ) -> ByteBuffer {
        let encoder = encoder(for: lane, context: context)
        encoder.encoder.append(stanzas)
        let last = stanzas.isEmpty ? nil : firstNumber + UInt64(stanzas.count) - 1
        return finish(
            encoder, lane: lane, context: context, firstNumber: last.map { _ in firstNumber }, lastNumber: last, now: now)
    }

    /// Cuts the next part of a stanza that is larger than a block, in the normal lane.
    ///
    /// - Parameter bytes: at most this much of the stanza's canonical text.
    /// - Returns: the block, and whether it completed the stanza. Between two parts only the express lane may be cut.
    package mutating func cutPart(
        of stanza: OutgoingStanza, number: UInt64, context: UInt8 = 0, bytes: Int, now: NIODeadline
    ) -> (block: ByteBuffer, isComplete: Bool) {
        var text = ByteBuffer()
        text.reserveCapacity(stanza.stanza.byteCount)
        stanza.stanza.write(to: &text)
        let total = text.readableBytes
        var offset = 0
        if let part, part.number == number { offset = part.offset }
        // What the other side kept of an earlier attempt need not go again; the last byte always does, so that it ends.
        if let resumablePart, resumablePart.number == number { offset = max(offset, min(resumablePart.offset, total - 1)) }
        let length = min(max(bytes, 1), total - offset)
        let piece = text.getSlice(at: text.readerIndex + offset, length: length) ?? ByteBuffer()
        let isComplete = offset + length == total
        let encoder = encoder(for: .normal, context: context)
        encoder.encoder.appendFragment(
            piece, offset: UInt32(offset), total: UInt32(total), ageSeconds: stanza.ageSeconds)
        part = isComplete ? nil : (number, offset + length)
        let block = finish(
            encoder, lane: .normal, context: context, firstNumber: number, lastNumber: isComplete ? number : nil, now: now)
        return (block, isComplete)
    }

    /// What has to be sent whether stanzas wait or not: a refusal, an opening with nothing to ride on, a repeat, an
    /// acknowledgement that has waited long enough. Nil when there is none.
    ///
    /// - Parameter willCut: stanzas are about to be cut, so what can ride on their block need not go alone.
    package mutating func nextServiceBlock(now: NIODeadline, willCut: Bool) -> ByteBuffer? {
        guard isConnected else { return nil }
        if let refusal = pendingRefusal {
            pendingRefusal = nil
            var header = header(now: now)
            header.opening = .refusal(refusal)
            return block(header)
        }
        if needsOpening {
            return willCut ? nil : cut([], lane: .normal, firstNumber: 0, now: now)
        }
        if let repeated = nextRepeat(now: now) { return repeated }
        guard !willCut, let deadline = acknowledgementDue, deadline <= now else { return nil }
        return block(withOpening(header(now: now), isFirst: false))
    }

    /// An acknowledgement that is due, alone, for a transport that takes only what is urgent: behind a long block it would come so
    /// late that the other side sends again what is here, or takes this one for dead. It does not overtake the first block, without
    /// which the other side would not know what to make of it.
    package mutating func nextOvertakingAcknowledgement(now: NIODeadline) -> ByteBuffer? {
        guard isConnected, peerSession != 0, outgoing[0].acknowledged > 0 || isFirstBlockBrought, let due = acknowledgementDue,
            due <= now
        else { return nil }
        return block(withOpening(header(now: now), isFirst: false))
    }

    // MARK: Building blocks

    private mutating func encoder(for lane: Lane, context: UInt8) -> EncoderBox {
        if lane == .express || context == Self.contextWithoutHistory {
            // A block that may overtake refers to nothing but what the other side is known to have; one of a label set for
            // which there is no context, to nothing at all: others have used this one.
            let history = context == 0 ? expressHistory : ByteBuffer()
            return encoder(history: history)
        }
        while encoders.count <= Int(context) { encoders.append(nil) }
        if let box = encoders[Int(context)] { return box }
        let box = encoder(history: context == 0 ? expressHistory : ByteBuffer())
        encoders[Int(context)] = box
        return box
    }

    private func encoder(history: ByteBuffer) -> EncoderBox {
        let box = EncoderBox(BodyEncoder(level: configuration.level, history: history))
        box.encoder.paddingMultiple = configuration.paddingMultiple
        return box
    }

    /// The acknowledged text, or where there is none what the session began with.
    private var expressHistory: ByteBuffer {
        if sentText.end > 0 { return sentText.tail }
        return usesDictionary ? configuration.dictionary?.text ?? ByteBuffer() : ByteBuffer()
    }

    private var usesDictionary: Bool { configuration.dictionary != nil && !refusedDictionary }

    private mutating func finish(
        _ encoder: EncoderBox, lane: Lane, context: UInt8, firstNumber: UInt64?, lastNumber: UInt64?, now: NIODeadline
    ) -> ByteBuffer {
        let index = Int(lane.rawValue)
        // What this block numbers must not hide that the journal is older than what the other side has seen.
        var body = BlockHeader.Body()
        body.lane = lane
        body.block = UInt8(truncatingIfNeeded: outgoing[index].count)
        body.base = lane == .express ? UInt8(truncatingIfNeeded: outgoing[0].acknowledged) : 0
        body.context = context
        if let firstNumber {
            if outgoing[index].lastNumber.map({ $0 + 1 != firstNumber }) ?? true { body.jump = firstNumber }
            // A stanza in parts keeps its number until it is complete.
            outgoing[index].lastNumber = lastNumber ?? firstNumber - 1
            sending.highest[index] = max(sending.highest[index], firstNumber, lastNumber ?? 0)
        }
        var bytes = ByteBuffer()
        let stanzaBytes = encoder.encoder.spelledBytes
        let text = encoder.encoder.finish(into: &bytes)
        body.length = bytes.readableBytes
        if lane == .normal, needsOpening {
            opening = makeOpening()
            needsOpening = false
        } else {
            records.append(sending.record)
        }
        let keepsText = lane == .normal && context == 0
        let block = OutgoingLane.Block(
            number: outgoing[index].count, lastNumber: lastNumber, context: context, text: keepsText ? text : nil,
            textBytes: text.readableBytes, body: body,
            bytes: configuration.repeatAfter == nil ? ByteBuffer() : bytes, firstSent: now, lastSent: now,
            isTaken: !configuration.waitsForTransport)
        learnRatio(stanzaBytes: stanzaBytes, wire: bytes.readableBytes)
        if lane == .normal { unacknowledgedText += block.textBytes }
        outgoing[index].unacknowledged.append(block)
        outgoing[index].count += 1
        return self.block(header(for: block, lane, now: now), bytes)
    }

    /// A header with the acknowledgements of this moment; they need not go by themselves any more.
    private mutating func header(now: NIODeadline) -> BlockHeader {
        var header = BlockHeader(
            session: UInt8(truncatingIfNeeded: sending.session), acknowledgedSession: UInt8(truncatingIfNeeded: peerSession),
            acknowledgedNormal: UInt8(truncatingIfNeeded: incoming[0].committed))
        if owesExpressAcknowledgement {
            header.acknowledgedExpress = UInt8(truncatingIfNeeded: incoming[1].committed)
            owesExpressAcknowledgement = false
        }
        header.hasGap = !incoming[0].early.isEmpty
        acknowledgementDeadline = nil
        lastHeader = now
        return header
    }

    private mutating func header(for block: OutgoingLane.Block, _ lane: Lane, now: NIODeadline) -> BlockHeader {
        var header = header(now: now)
        header.body = block.body
        return withOpening(header, isFirst: lane == .normal && block.number == 0)
    }

    /// Adds the opening to the header of a session's first block, and where what it says of the other side had to be renewed.
    private mutating func withOpening(_ header: BlockHeader, isFirst: Bool) -> BlockHeader {
        // One that only looks like a first block must not begin a session.
        let isRenewal = isRenewalDue && (isFirst || header.body?.block != 0)
        guard var opening, isFirst || isRenewal else { return header }
        if isRenewal {
            nameOtherSide(in: &opening)
            self.opening = opening
            isRenewalDue = false
            // It leaves when it is durable, as any opening.
            records.append(sending.record)
        }
        var header = header
        header.opening = .session(opening)
        return header
    }

    private func block(_ header: BlockHeader, _ body: ByteBuffer = ByteBuffer()) -> ByteBuffer {
        var block = ByteBuffer()
        block.reserveCapacity(16 + body.readableBytes)
        header.encode(into: &block)
        block.writeImmutableBuffer(body)
        return block
    }

    private mutating func makeOpening() -> SessionOpening {
        var opening = SessionOpening(epoch: sending.epoch, session: sending.session)
        opening.process = sending.process
        opening.runs = sending.runs
        nameOtherSide(in: &opening)
        opening.profile = configuration.profile
        if sentText.end > 0 {
            let tail = sentText.tail
            opening.history = .text(
                position: sentText.end, length: UInt16(tail.readableBytes), hash: LinkText.hash(tail))
        } else if usesDictionary, let dictionary = configuration.dictionary {
            opening.history = .dictionary(dictionary.id)
        }
        records.append(sending.record)
        return opening
    }

    private func nameOtherSide(in opening: inout SessionOpening) {
        opening.peerEpoch = receiving.epoch
        opening.receivedNormal = receiving.received[0]
        opening.receivedExpress = receiving.received[1]
        opening.receivedPart =
            fragments.number == receiving.received[0] + 1 ? UInt64(fragments.bytes.readableBytes) : 0
        opening.peerSession = receiving.session
        opening.readsPeerSession = peerSession != 0
        opening.peerProcess = receiving.process
    }

    private mutating func nextRepeat(now: NIODeadline) -> ByteBuffer? {
        for lane in Lane.allCases {
            let index = Int(lane.rawValue)
            for place in outgoing[index].unacknowledged.indices {
                let block = outgoing[index].unacknowledged[place]
                guard let deadline = repeatDeadline(block, lane), deadline <= now else { continue }
                outgoing[index].unacknowledged[place].lastSent = now
                outgoing[index].unacknowledged[place].isMissing = false
                outgoing[index].unacknowledged[place].isRepeated = true
                outgoing[index].unacknowledged[place].isTaken = !configuration.waitsForTransport
                note(.blockRepeated)
                return self.block(header(for: block, lane, now: now), block.bytes)
            }
        }
        return nil
    }

    /// When a block is sent again; nil where the transport loses nothing.
    func repeatDeadline(_ block: OutgoingLane.Block, _ lane: Lane) -> NIODeadline? {
        guard let repeatAfter = configuration.repeatAfter, block.isTaken else { return nil }
        guard !block.isMissing else { return block.lastSent }
        let usual = block.lastSent + repeatAfter
        guard lane == .normal, block.number == 0, let first = configuration.firstRepeatAfter else { return usual }
        guard let idleSince else { return usual }
        return min(usual, max(block.lastSent, idleSince) + max(first, block.lastSent - block.firstSent))
    }

    // MARK: Acknowledgements from the other side

    /// The counts of a header that are those of this session.
    mutating func acknowledgementReceived(_ header: BlockHeader, now: NIODeadline) {
        acknowledged(header.acknowledgedNormal, .normal)
        if let express = header.acknowledgedExpress { acknowledged(express, .express) }
        // The first one is missing for certain: it goes again at once, unless it did already. Not where the header is an old one, and
        // where the transport takes its time, only when the block cannot be on its way any more: what is urgent overtakes it there.
        if header.hasGap, let repeatAfter = configuration.repeatAfter, let first = outgoing[0].unacknowledged.first,
            !first.isRepeated, header.acknowledgedNormal == UInt8(truncatingIfNeeded: outgoing[0].acknowledged),
            !configuration.waitsForTransport || first.lastSent + .nanoseconds(repeatAfter.nanoseconds / 2) <= now
        {
            outgoing[0].unacknowledged[0].isMissing = true
        }
    }

    /// Where only a repeat of the first block was read, what followed it until then was ignored.
    private mutating func firstAcknowledged(_ first: OutgoingLane.Block) {
        guard configuration.firstRepeatAfter != nil, first.isRepeated else { return }
        for lane in outgoing.indices {
            for place in outgoing[lane].unacknowledged.indices
            where outgoing[lane].unacknowledged[place].lastSent <= first.lastSent {
                outgoing[lane].unacknowledged[place].isMissing = true
            }
        }
    }

    private mutating func acknowledged(_ low: UInt8, _ lane: Lane) {
        let index = Int(lane.rawValue)
        let known = outgoing[index].acknowledged
        let step = UInt64(low &- UInt8(truncatingIfNeeded: known))
        // Backwards: an older header that was overtaken. Above what was sent: a rogue one, which frees nothing.
        guard step > 0, step < 128, known + step <= outgoing[index].count else { return }
        outgoing[index].acknowledged = known + step
        processWasRead()
        var through: UInt64?
        while let block = outgoing[index].unacknowledged.first, block.number < known + step {
            outgoing[index].unacknowledged.removeFirst()
            if block.number == 0, lane == .normal { firstAcknowledged(block) }
            if let last = block.lastNumber { through = last }
            if lane == .normal { unacknowledgedText -= block.textBytes }
            if let text = block.text, text.readableBytes > 0 {
                sentText.append(text)
                records.append(
                    .put(.sentText, id: sentText.end, .bytes(Array(text.readableBytesView)), time: 0))
            }
        }
        if sentText.end > UInt64(LinkText.window) {
            records.append(.removeThrough(.sentText, id: sentText.end - UInt64(LinkText.window)))
        }
        refusals = 0
        if through != nil { beginnings = 0 }
        if let through { events.append(.acknowledged(lane, through: through)) }
    }

    // MARK: Size

    private mutating func learnRatio(stanzaBytes: Int, wire: Int) {
        guard stanzaBytes >= 256, wire > 0 else { return }
        let seen = min(max(Double(stanzaBytes) / Double(wire), 1), 20)
        ratio += (seen - ratio) / 4
    }

    /// Canonical bytes of stanzas that experience says fit into so many bytes on the wire.
    package func textBytes(forBlockBytes bytes: Int) -> Int {
        min(Int(Double(bytes) * ratio), configuration.limits.textBytes / 4)
    }
}
