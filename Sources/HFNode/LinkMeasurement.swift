import NIOCore
import STANAG5066

/// The same figures as ``ClosedForm``, measured on two nodes in virtual time on a channel without errors.
package enum LinkMeasurement {
    private static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private static let sap: UInt8 = 6

    /// Bulk data from the first node to the second, over several cycles in a steady state.
    ///
    /// What counts are the units that the client was given, and of the one that has come in part the segments.
    ///
    /// - Parameter minimumBytes: to be carried during the measurement, in at least eight cycles.
    package static func bulk(_ form: ClosedForm, minimumBytes: Int = 100_000) -> ClosedForm.Bulk {
        var pair = pair(form)
        var now = start
        var sent: UInt64 = 0
        var delivered = 0.0
        /// Bytes of the C_PDU that has come in part.
        var part = 0
        /// Data transmissions, as time and payload that was delivered before.
        var marks: [(time: NIODeadline, payload: Double)] = []
        let payloadShare = Double(form.unitBytes - form.unitOverhead) / Double(form.unitBytes + ClosedForm.upperOverhead)
        func isDone() -> Bool { marks.count > 9 && delivered >= Double(minimumBytes) }
        while !isDone() {
            while pair.withNode(.first, now: now, { $0.queuedBytes(sap: sap) }) < 1 << 18 {
                sent += 1
                request(sent, form.unitBytes, &pair, now: now)
            }
            while let event = pair.nextEvent() {
                switch event {
                case .node(.second, .deliver(let indication), _):
                    delivered += Double(indication.uPDU.readableBytes - form.unitOverhead)
                    part = 0
                case .received(.second, let element, _, _):
                    part += element.bytes.readableBytes - element.headerBytes - DPDU.segmentChecksumBytes
                // The first transmission is the call.
                case .transmitted(.first, _, let at): marks.append((at, delivered + Double(part) * payloadShare))
                case .node, .transmitted, .received: break
                }
            }
            guard let next = pair.nextDeadline else { break }
            now = max(now, next)
            pair.deadlineReached(now: now)
        }
        guard marks.count > 2, let last = marks.last else { return ClosedForm.Bulk(cycle: 0, goodput: 0, utilisation: 0) }
        let seconds = ClosedForm.seconds(last.time - marks[1].time)
        let goodput = 8 * (last.payload - marks[1].payload) / seconds
        return ClosedForm.Bulk(
            cycle: seconds / Double(marks.count - 2), goodput: goodput,
            utilisation: 100 * goodput / Double(form.timing.bitsPerSecond))
    }

    /// From the request to the delivery of a unit without a link, and of one some time later on the link; seconds.
    package static func latency(_ form: ClosedForm) -> (cold: Double, warm: Double) {
        var pair = pair(form)
        var now = start
        func latency() -> Double {
            let asked = now
            request(1, form.unitBytes, &pair, now: now)
            while true {
                while let event = pair.nextEvent() {
                    if case .node(.second, .deliver, let at) = event { return ClosedForm.seconds(at - asked) }
                }
                guard let next = pair.nextDeadline else { return .infinity }
                now = max(now, next)
                pair.deadlineReached(now: now)
            }
        }
        let cold = latency()
        // Until the acknowledgement is in and nobody has the turn.
        let rest = now + form.turnaround * 4 + form.timing.durationUntilRead(bytes: 100) * 2
        while let next = pair.nextDeadline, next <= rest {
            now = max(now, next)
            pair.deadlineReached(now: now)
            while pair.nextEvent() != nil {}
        }
        now = rest
        return (cold, latency())
    }

    /// As ``ClosedForm/exchangeLatency(_:)``: what opens a connection by so many questions and answers has to wait for.
    package static func exchanges(_ count: Int, _ form: ClosedForm) -> Double {
        var pair = pair(form)
        pair.withNode(.first, now: start) { $0.clientBound(sap: sap) }
        var now = start
        var answers = 0
        request(1, form.unitBytes, &pair, now: now)
        while true {
            while let event = pair.nextEvent() {
                guard case .node(let side, .deliver, let at) = event else { continue }
                if side == .first { answers += 1 }
                if answers == count { return ClosedForm.seconds(at - start) }
                request(UInt64(answers) + 2, form.unitBytes, from: side, &pair, now: at)
            }
            guard let next = pair.nextDeadline else { return .infinity }
            now = max(now, next)
            pair.deadlineReached(now: now)
        }
    }

    private static func pair(_ form: ClosedForm) -> HFNodePair<ClearBurstChannel> {
        func node(_ address: NodeAddress, seed: UInt64) -> HFNodeMachine {
            var configuration = HFNodeConfiguration(address: address)
            configuration.seed = seed
            configuration.segmentBytes = form.segmentBytes
            configuration.addressBytes = form.addressBytes
            configuration.window = form.window
            configuration.turnaround = form.turnaround
            configuration.queueBytes = 1 << 20
            // The measurement of latency waits for a quiet channel.
            configuration.link.idle = .minutes(10)
            return HFNodeMachine(configuration: configuration, timing: form.timing)
        }
        var pair = HFNodePair(
            first: node(Self.first, seed: 1), second: node(Self.second, seed: 2), channel: ClearBurstChannel())
        pair.withNode(.second, now: start) { $0.clientBound(sap: sap) }
        return pair
    }

    private static let first = NodeAddress(value: 0x0A00_0001) ?? .broadcast
    private static let second = NodeAddress(value: 0x0A00_0002) ?? .broadcast

    private static func request(
        _ id: UInt64, _ size: Int, from side: HFNodeSide = .first, _ pair: inout HFNodePair<ClearBurstChannel>,
        now: NIODeadline
    ) {
        let request = UnidataRequest(
            priority: 0, destinationSAP: SAP(low: sap), destination: side == .first ? second : first, delivery: ServiceType(.arq),
            timeToLive: .unlimited, uPDU: ByteBuffer(repeating: UInt8(truncatingIfNeeded: id), count: size))
        pair.withNode(side, now: now) {
            $0.requestReceived(SubmittedUnit(id: id, sourceSAP: SAP(low: sap), request), now: now)
        }
    }
}
