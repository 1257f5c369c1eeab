package import Blocks
import BridgeCore
import NIOCore
import Outbox
import PresenceCache
package import Profiles
package import XMPP

/// Sends recorded traffic through two bridges, in both directions and with all that the daemon does, and counts.
///
/// The link takes everything at once. A block leaves when so many stanzas wait for it, with the copies of the last one that its
/// server wrote right behind it for others; each one is acknowledged, on the next
/// block of the other side or, where that does not come first, alone, as on a link that gives turns.
package final class TrafficReplay {
    package struct Options: Sendable {
        /// Stanzas of a block, after what the profile leaves.
        package var batch = 16
        package var profile: CompiledProfile?
        /// In dialect `xep` stanzas cross as they are, without compression, headers and acknowledgements.
        package var dialect = LinkDialect.skywave
        /// Seconds of the bridges per second of the recording; nil: rules that hang on time are off.
        package var timeScale: Double?

        package init() {}
    }

    private var ends: [ReplayEnd] = []
    /// The last stanza and its copies, while more of them may come.
    private var open: (side: Int, copies: FoldedRecord)?
    private let options: Options
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private var compressed = CompressedStreams()
    /// Requests that did not cross, by who asked whom and how: their recorded answers are no traffic.
    private var settled: Set<String> = []
    private var figures: [StanzaKind: KindFigures] = [:]
    private var bytesLink = 0
    private var ids = SeenIDs()

    /// - Parameters:
    ///   - domains: of each site, as they stand in the recording.
    package init(_ options: Options, domains: [[Domain]]) {
        self.options = options
        for side in 0...1 {
            var policy = PeerPolicy(
                name: "replay", localDomains: domains[side],
                remoteDomains: domains[1 - side].compactMap { DomainPattern($0.string) })
            policy.profile = options.profile
            policy.dialect = options.dialect
            policy.batchBytes = 1 << 18
            policy.foldsIDs = options.profile?.outbox.foldsIDs ?? false
            policy.cachesPresence = true
            policy.presence.probeBurst = 0
            if options.timeScale == nil {
                policy.spacesPresence = false
                policy.presence.settleTime = .zero
            }
            policy.batchStanzas = max(1, options.batch)
            policy.blockBytes = 1 << 18
            policy.hold = .bytes(1 << 18, longest: .hours(24 * 365))
            policy.cutsForUrgency = false
            policy.matchesAnswers = false
            policy.linkSession.level = Int32(options.profile?.block.level ?? 6)
            policy.linkSession.dictionary = .standard
            policy.linkSession.acknowledgementDelay = .milliseconds(1)
            // Recordings have gaps and end in the middle; nothing must expire meanwhile.
            policy.iqTimeout = .hours(24 * 365)
            policy.messageLifetime = .hours(24 * 365)
            policy.presenceLifetime = .hours(24 * 365)
            policy.violationLimit = 0
            ends.append(ReplayEnd(policy, seed: UInt64(side + 1), now: now))
        }
        // Openings go alone; they are a part of what a link costs.
        for side in 0...1 { transmit(from: side) }
    }

    /// The next stanza of the recording.
    package func add(_ measured: MeasuredStanza) {
        let recorded = measured.stanza
        let stanza = ids.asSeen(recorded)
        let side = measured.side
        if open?.side != side || open?.copies.addIfLike(stanza) != true {
            endTurn()
            open = (side, FoldedRecord(stanza))
        }
        var figure = KindFigures()
        defer { figures[stanza.kind, default: KindFigures()] += figure }
        if stanza.isIQAnswer, settled.remove(Self.key(asked: recorded.toText, by: recorded.fromText, recorded.id)) != nil {
            figure.answersTakenOut = 1
            return
        }
        if let scale = options.timeScale {
            let time = NIODeadline.uptimeNanoseconds(1_000_000_000) + .nanoseconds(Int64(measured.seconds * scale * 1e9))
            if time > now { pass(until: time) }
        }
        figure.stanzasIn = 1
        figure.bytesIn = measured.written.count
        figure.bytesCompressedStream = compressed.add(measured.written, side: side)
        let before = ends[side].status
        let queued = ends[side].sent(stanza, now: now)
        let after = ends[side].status
        func grown(_ event: PeerEvent) -> Int { Int(after.count(of: event) - before.count(of: event)) }
        figure.dropped = grown(.profileDropped) + grown(.profileDroppedFromRoom) + grown(.spoofedElement)
        figure.folded = grown(.profileFolded) + grown(.profileTruncated)
        figure.refused = grown(.profileRefused)
        figure.answeredLocally = grown(.answeredLocally) + grown(.probeAnswered)
        let notSent = grown(.presenceRepeated) + grown(.presenceHeld)
        figure.merged = Int(after.supersededPresences - before.supersededPresences) + notSent
        // What comes back at once is the bridge's own answer.
        for answer in ends[side].takeDelivered() where stanza.isIQRequest && answer.isIQAnswer {
            settled.insert(Self.key(asked: answer.toText, by: answer.fromText, answer.id))
        }
        if let queued { ids.crossed(recorded, as: queued) }
    }

    /// What the server wrote together is with the bridge.
    private func endTurn() {
        guard let side = open?.side else { return }
        open = nil
        ends[side].turnEnded(now: now)
        transmit(from: side)
    }

    /// The end of the recording: everything that waits leaves, and is acknowledged.
    package func finish() -> Measurement {
        endTurn()
        for side in 0...1 {
            ends[side].flush(now: now)
            transmit(from: side)
        }
        for side in 0...1 { acknowledge(side) }
        var measurement = Measurement()
        measurement.bytesLink = bytesLink
        for end in ends {
            let folded = end.status.traffic.folded
            figures[.message, default: KindFigures()].merged += Int(folded.messages)
            figures[.presence, default: KindFigures()].merged += Int(folded.presences)
        }
        measurement.kinds = figures
        measurement.shareLinkBytes()
        return measurement
    }

    private static func key(asked: String, by: String, _ id: String?) -> String { "\(asked)\n\(by)\n\(id ?? "")" }

    private func pass(until time: NIODeadline) {
        now = time
        for side in 0...1 {
            if let armed = ends[side].armed, armed <= now { ends[side].deadlineReached(now: now) }
            transmit(from: side)
        }
    }

    /// Gives the other side what this one has for it.
    private func transmit(from side: Int) {
        for block in ends[side].takeBlocks() {
            // What came before is acknowledged by now, though nothing else went the other way.
            acknowledge(1 - side)
            bytesLink += block.readableBytes
            ends[1 - side].received(block, now: now)
            collect(at: 1 - side)
        }
        for batch in ends[side].takeBatches() {
            bytesLink += batch.reduce(0) { $0 + $1.byteCount }
            ends[1 - side].received(batch, now: now)
            collect(at: 1 - side)
        }
    }

    private func acknowledge(_ side: Int) {
        guard ends[side].owesAcknowledgement else { return }
        now = now + .milliseconds(2)
        ends[side].deadlineReached(now: now)
        for block in ends[side].takeBlocks() {
            bytesLink += block.readableBytes
            ends[1 - side].received(block, now: now)
            // An acknowledgement is not acknowledged.
            ends[1 - side].owesAcknowledgement = false
        }
        ends[side].owesAcknowledgement = false
    }

    private func collect(at side: Int) {
        // The copies of one record come one after the other.
        var record: FoldedRecord?
        for stanza in ends[side].takeDelivered() {
            let isCopy = record?.addIfLike(stanza) ?? false
            if !isCopy { record = FoldedRecord(stanza) }
            let bytes = isCopy ? (FoldableStanza(stanza)?.valueBytes ?? 0) + 1 : stanza.byteCount
            figures[stanza.kind, default: KindFigures()].stanzasOut += 1
            figures[stanza.kind, default: KindFigures()].textSent += bytes
        }
    }
}
