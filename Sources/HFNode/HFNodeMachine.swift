import DequeModule
package import NIOCore
package import STANAG5066
import SeededRandom

/// A STANAG 5066 Edition 3 node below the subnetwork interface: takes units of clients, makes and breaks soft links,
/// runs ARQ, and takes its turns on a half-duplex channel.
///
/// ```
///             something to send                     carrier off
///     idle ───────────────────────▶ sending ──────────────────────▶ awaiting (the other side's turn)
///      ▲ ▲                                                            │  │
///      │ │  no carrier in time: what is not acknowledged goes again   │  │ carrier
///      │ └────────────────────────────────────────────────────────────┘  ▼
///    turning ◀──────────────────────────────────────────────────────── hearing ◀── carrier while idle
///      turnaround is over: answer, or idle           carrier off
/// ```
///
/// The modem and the air are outside: they say how long a burst lasts and what is left of the other side's. The end of
/// transmission that D_PDUs announce is obeyed where the modem does not tell when the carrier goes. Full duplex,
/// broadcast sessions, expedited data, hard links and data rate change by request are not part of it; they are refused
/// as the standard says.
package struct HFNodeMachine: ~Copyable {
    /// What a burst of ours wants answered.
    enum Purpose: Equatable {
        case nothing
        /// A call or a break.
        case link
        case reset
        case data
    }

    /// The answer to our last burst.
    struct Awaited: Equatable {
        let peer: NodeAddress
        let purpose: Purpose
        var isAnswered = false
        /// Anything came from the peer.
        var isHeard = false
    }

    enum Channel: Equatable {
        case idle(notBefore: NIODeadline)
        case sending(Awaited)
        case awaiting(Awaited, until: NIODeadline)
        /// `until` is what the other side announced; the end of its carrier counts for more.
        case hearing(Awaited?, until: NIODeadline)
        case turning(Awaited?, until: NIODeadline)
    }

    package let configuration: HFNodeConfiguration
    var timing: TransmissionTiming
    /// Of the transmission that is heard.
    var heardTiming: TransmissionTiming
    var remotes: [RemoteNode] = []
    var channel = Channel.idle(notBefore: .uptimeNanoseconds(0))
    var isSilent = false
    /// When a burst goes again that was not answered: at once, and yet not before the owner has heard of it and changed the
    /// modem.
    var repeatsAt: NIODeadline?
    private var boundSAPs: Set<UInt8> = []
    private var queuedBytes = Array(repeating: 0, count: 16)
    private var closedSAPs: Set<UInt8> = []
    var random: SplitMix64
    var nextNumber: UInt64 = 1
    var lastServed = 0
    var lastNow = NIODeadline.uptimeNanoseconds(0)
    var actions: Deque<HFNodeAction> = []
    /// What the next D_PDUs say to other nodes.
    private(set) var orderwires: [NodeAddress: EngineeringOrderwire] = [:]
    package internal(set) var statistics = HFNodeStatistics()

    /// Other nodes that are remembered.
    static let maximumRemotes = 64

    package init(configuration: HFNodeConfiguration, timing: TransmissionTiming) {
        self.configuration = configuration
        self.timing = timing
        heardTiming = timing
        random = SplitMix64(seed: configuration.seed)
    }

    package mutating func nextAction() -> HFNodeAction? { actions.popFirst() }

    package var address: NodeAddress { configuration.address }

    package var debugState: String {
        let links = remotes.map { "\($0.address) \($0.link.state), queued \($0.queue.count), in flight \($0.inFlight.count)" }
        return "channel \(channel), silent \(isSilent), " + links.joined(separator: "; ")
    }

    /// There is a soft link to the node.
    package func isLinked(to address: NodeAddress) -> Bool { index(of: address).map { remotes[$0].link.isUp } ?? false }

    /// Bytes of the SAP's units that are not settled.
    package func queuedBytes(sap: UInt8) -> Int { queuedBytes[Int(sap & 0x0F)] }

    /// Units of all clients that are not settled.
    package var unsettledUnits: Int {
        remotes.reduce(0) { sum, remote in
            sum + remote.queue.count + remote.inFlight.count + remote.unconfirmed.count + remote.nonARQ.count(where: \.isLast)
        }
    }

    // MARK: The clients

    package mutating func clientBound(sap: UInt8) {
        boundSAPs.insert(sap & 0x0F)
    }

    /// Its units that wait go on; what becomes of them is still reported.
    package mutating func clientUnbound(sap: UInt8) {
        boundSAPs.remove(sap & 0x0F)
    }

    func isBound(_ sap: UInt8) -> Bool { boundSAPs.contains(sap) }

    package mutating func requestReceived(_ submitted: SubmittedUnit, now: NIODeadline) {
        lastNow = now
        let request = submitted.request
        guard submitted.bytes <= configuration.maximumUnit else {
            actions.append(.rejected(submitted.id, .largerThanMTU))
            return
        }
        let sap = Int(submitted.sourceSAP.number)
        // A client that goes on although it was told to stop may lose units without a word (§A.2.1.14).
        guard queuedBytes[sap] < 2 * configuration.queueBytes else {
            statistics.unitsWithoutRoom += 1
            return
        }
        guard request.destination != configuration.address else {
            deliverLocally(submitted)
            return
        }
        let isARQ = request.delivery.mode == .arq
        let isNonARQ = request.delivery.mode == .nonARQ || request.delivery.mode == .nonARQWithErrors
        guard isNonARQ || isARQ && !request.destination.isGroup, let place = remote(for: request.destination) else {
            actions.append(.rejected(submitted.id, .transmissionModeNotSpecified))
            return
        }
        let hadWork = remotes.contains { $0.hasWork || $0.hasData }
        let unit = outboundUnit(submitted, now: now)
        queuedBytes[sap] += submitted.bytes
        if queuedBytes[sap] >= configuration.queueBytes, closedSAPs.insert(submitted.sourceSAP.number).inserted {
            actions.append(.flowChanged(sap: submitted.sourceSAP.number, isOpen: false))
        }
        if isARQ {
            remotes[place].queue.append(unit)
        } else {
            enqueueNonARQ(unit, copies: 1 + Int(request.delivery.minimumRetransmissions), place)
        }
        if !hadWork, case .idle(let notBefore) = channel {
            channel = .idle(notBefore: max(notBefore, now + configuration.holdOff))
        }
        transmitWhenAllowed(now: now)
    }

    private mutating func outboundUnit(_ submitted: SubmittedUnit, now: NIODeadline) -> OutboundUnit {
        defer { nextNumber += 1 }
        let maximum = max(1, configuration.maximumTimeToLive)
        let request = submitted.request
        let life = 2 * Int(request.timeToLive.units)
        let seconds = life == 0 ? maximum : min(life, maximum)
        let expires = now + .seconds(Int64(seconds))
        let data = SPDU.DataUnit(
            priority: request.priority,
            saps: SPDU.SAPPair(source: submitted.sourceSAP.number, destination: request.destinationSAP.number),
            wantsClientConfirmation: request.delivery.confirmation == .client,
            timeToDie: configuration.sendsTimeToDie ? TimeToDie(seconds: greenwichSeconds(at: expires)) : nil,
            unit: request.uPDU)
        return OutboundUnit(
            number: nextNumber, submitted: submitted, bytes: CPDU.data(SPDU.data(data).encoded()).encoded(),
            priority: request.priority, isInOrder: request.delivery.isInOrder, expires: expires)
    }

    func greenwichSeconds(at time: NIODeadline) -> Int64 {
        configuration.secondsAtZero + Int64(time.uptimeNanoseconds / 1_000_000_000)
    }

    private mutating func deliverLocally(_ submitted: SubmittedUnit) {
        let request = submitted.request
        guard isBound(request.destinationSAP.number) else {
            if submitted.confirmation != .none { actions.append(.rejected(submitted.id, .destinationSAPNotBound)) }
            return
        }
        statistics.unitsDelivered += 1
        actions.append(
            .deliver(
                UnidataIndication(
                    priority: request.priority, destinationSAP: request.destinationSAP,
                    destination: configuration.address, mode: request.delivery.mode, sourceSAP: submitted.sourceSAP,
                    source: configuration.address, uPDU: request.uPDU)))
        if submitted.confirmation != .none { actions.append(.confirmed(submitted.id)) }
    }

    private mutating func enqueueNonARQ(_ unit: OutboundUnit, copies: Int, _ place: Int) {
        let identifier = remotes[place].nextNonARQUnit
        remotes[place].nextNonARQUnit = (identifier + 1) & 0x0FFF
        let size = UInt16(clamping: unit.bytes.readableBytes)
        let segmentBytes = remotes[place].sender.segmentBytes
        for copy in 1...copies {
            var rest = unit.bytes
            while rest.readableBytes > 0 {
                let segment = rest.prefix(segmentBytes)
                let offset = UInt16(clamping: unit.bytes.readableBytes - rest.readableBytes)
                rest.moveReaderIndex(forwardBy: segment.readableBytes)
                var frame = DPDU.NonARQFrame(
                    unit: identifier, unitSize: size, offset: offset, receptionWindow: 0, segment: segment)
                frame.isInOrder = unit.isInOrder
                remotes[place].nonARQ.append(
                    RemoteNode.NonARQItem(frame: frame, unit: unit, isLast: copy == copies && rest.readableBytes == 0))
            }
        }
    }

    // MARK: What becomes of units

    enum Fate {
        case confirmed
        /// Sent; nobody wanted to know more.
        case done
        case rejected(UnidataRejectedReason)
    }

    mutating func settle(_ unit: OutboundUnit, _ fate: Fate) {
        guard let submitted = unit.submitted else { return }
        let sap = Int(submitted.sourceSAP.number)
        queuedBytes[sap] -= submitted.bytes
        if submitted.confirmation != .none {
            switch fate {
            case .confirmed: actions.append(.confirmed(submitted.id))
            case .rejected(let reason): actions.append(.rejected(submitted.id, reason))
            case .done: break
            }
        }
        if queuedBytes[sap] <= configuration.queueBytes / 2, closedSAPs.remove(submitted.sourceSAP.number) != nil {
            actions.append(.flowChanged(sap: submitted.sourceSAP.number, isOpen: true))
        }
    }

    /// All segments are acknowledged.
    mutating func unitCompleted(_ number: UInt64, _ place: Int, now: NIODeadline) {
        guard let unit = remotes[place].inFlight.removeValue(forKey: number) else { return }
        let isConfirmed = remotes[place].confirmedEarly.remove(number) != nil
        guard unit.submitted?.confirmation == .client, !isConfirmed else {
            settle(unit, .confirmed)
            return
        }
        remotes[place].unconfirmed.append(
            RemoteNode.Unconfirmed(unit: unit, deadline: now + configuration.clientConfirmationTime))
    }

    /// What the node itself says to the other one, before all data of clients.
    mutating func enqueue(_ unit: SPDU, _ place: Int, now: NIODeadline) {
        remotes[place].queue.append(
            OutboundUnit(
                number: nextNumber, submitted: nil, bytes: CPDU.data(unit.encoded()).encoded(), priority: 15, isInOrder: true,
                expires: now + configuration.clientConfirmationTime))
        nextNumber += 1
    }

    // MARK: Settings

    /// The modem for the next bursts: a change of rate on waveforms that the receiver recognises by itself.
    package mutating func timingChanged(_ timing: TransmissionTiming) {
        self.timing = timing
    }

    /// What our D_PDUs say to a node from now on, an advice on its rate for example (§C.5.1).
    package mutating func orderwireChanged(_ orderwire: EngineeringOrderwire, to address: NodeAddress) {
        orderwires[address] = orderwire == .none ? nil : orderwire
    }

    /// Under emission control nothing is transmitted; what arrives is received.
    package mutating func emissionControlChanged(isSilent: Bool, now: NIODeadline) {
        lastNow = now
        self.isSilent = isSilent
        if isSilent, case .awaiting(let awaited, _) = channel {
            channel = .idle(notBefore: now)
            answerForgotten(awaited, now: now)
        }
        transmitWhenAllowed(now: now)
    }

    // MARK: Other nodes

    func index(of address: NodeAddress) -> Int? { remotes.firstIndex { $0.address == address } }

    /// Nil when too many are known.
    mutating func remote(for address: NodeAddress) -> Int? {
        if let known = index(of: address) { return known }
        if remotes.count >= Self.maximumRemotes {
            guard let unused = remotes.firstIndex(where: { $0.isQuiet && $0.link.state == .down }) else { return nil }
            remotes.remove(at: unused)
        }
        remotes.append(RemoteNode(address: address, configuration: configuration, timing: timing))
        return remotes.count - 1
    }
}
