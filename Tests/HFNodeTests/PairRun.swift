import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

/// Two nodes with clients, in virtual time.
final class PairRun<Channel: BurstChannel> {
    struct Arrival: Equatable {
        let unit: UInt64
        let at: NIODeadline
        let indication: UnidataIndication
    }

    var pair: HFNodePair<Channel>
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    /// Units that arrived at each side, by the number in their first eight bytes.
    var arrived: [HFNodeSide: [Arrival]] = [.first: [], .second: []]
    var confirmed: [HFNodeSide: [UInt64]] = [.first: [], .second: []]
    var rejected: [HFNodeSide: [UInt64: UnidataRejectedReason]] = [.first: [:], .second: [:]]
    var notes: [HFNodeSide: [HFNodeNote]] = [.first: [], .second: []]
    var flow: [HFNodeSide: [Bool]] = [.first: [], .second: []]
    var bursts: [(side: HFNodeSide, burst: Burst, at: NIODeadline)] = []
    /// D_PDUs that were read, by the side that read them.
    var read: [(side: HFNodeSide, dpdu: DPDU, at: NIODeadline)] = []
    /// Called for each event, when it happens.
    var onEvent: ((PairRun, HFNodePair<Channel>.Event) -> Void)?
    private var numbers: UInt64 = 0
    private var spins = 0

    static var addresses: [HFNodeSide: NodeAddress] { [.first: address("10.0.0.1"), .second: address("10.0.0.2")] }

    init(
        _ timing: TransmissionTiming, channel: Channel, change: (inout HFNodeConfiguration) -> Void = { _ in }
    ) {
        func configuration(_ side: HFNodeSide) -> HFNodeConfiguration {
            var configuration = HFNodeConfiguration(address: Self.addresses[side] ?? .broadcast)
            configuration.seed = UInt64(side.rawValue) + 1
            change(&configuration)
            return configuration
        }
        pair = HFNodePair(
            first: HFNodeMachine(configuration: configuration(.first), timing: timing),
            second: HFNodeMachine(configuration: configuration(.second), timing: timing), channel: channel)
        for side in HFNodeSide.allCases { pair.withNode(side, now: now) { $0.clientBound(sap: 6) } }
    }

    /// Sends a unit of `size` bytes, eight or more.
    @discardableResult
    func send(
        _ side: HFNodeSide, size: Int = 156, priority: UInt8 = 0, delivery: ServiceType = .init(.arq, confirmation: .node),
        timeToLive: Int64 = 0, to: NodeAddress? = nil, sap: UInt8 = 6, id: UInt64? = nil
    ) -> UInt64 {
        numbers += 1
        let number = id ?? numbers
        var unit = ByteBuffer(integer: number)
        unit.writeRepeatingByte(UInt8(truncatingIfNeeded: number &* 31), count: max(0, size - 8))
        let request = UnidataRequest(
            priority: priority, destinationSAP: SAP(low: sap), destination: to ?? Self.addresses[side.other] ?? .broadcast,
            delivery: delivery, timeToLive: timeToLive == 0 ? .unlimited : TimeToLive(.seconds(timeToLive)), uPDU: unit)
        let submitted = SubmittedUnit(id: number, sourceSAP: .rcop, request)
        let time = now
        pair.withNode(side, now: time) { $0.requestReceived(submitted, now: time) }
        drain()
        return number
    }

    /// Lets time pass, until `isDone` or the end.
    func run(for duration: TimeAmount, until isDone: () -> Bool = { false }) {
        let end = now + duration
        drain()
        while !isDone(), let next = pair.nextDeadline, next <= end {
            spins = next <= now ? spins + 1 : 0
            now = max(now, next)
            guard spins < 1000 else {
                Issue.record("time stands still: \(debugState)")
                return
            }
            pair.deadlineReached(now: now)
            drain()
        }
        if !isDone() { now = end }
    }

    private func drain() {
        while let event = pair.nextEvent() {
            switch event {
            case .transmitted(let side, let burst, let at): bursts.append((side, burst, at))
            case .received(let side, let element, _, let at):
                if let received = try? ReceivedDPDU(decoding: element.bytes) { read.append((side, received.dpdu, at)) }
            case .node(let side, let action, let at):
                switch action {
                case .transmit: break
                case .deliver(let indication):
                    let number = indication.uPDU.getInteger(at: indication.uPDU.readerIndex, as: UInt64.self) ?? 0
                    arrived[side]?.append(Arrival(unit: number, at: at, indication: indication))
                case .confirmed(let id): confirmed[side]?.append(id)
                case .rejected(let id, let reason): rejected[side]?[id] = reason
                case .flowChanged(_, let isOpen): flow[side]?.append(isOpen)
                case .noted(let note): notes[side]?.append(note)
                }
            }
            onEvent?(self, event)
        }
    }

    var debugState: String {
        HFNodeSide.allCases.map { side in pair.withNode(side, now: now) { $0.debugState } }.joined(separator: " | ")
    }

    func numbersArrived(_ side: HFNodeSide) -> [UInt64] { (arrived[side] ?? []).map(\.unit) }
}

extension TransmissionTiming {
    /// MIL-STD-188-110A main body.
    static func short(_ rate: Int) -> TransmissionTiming {
        TransmissionTiming(bitsPerSecond: rate, interleaver: .milliseconds(600), preamble: .milliseconds(600), tailBits: 176)
    }

    static func long(_ rate: Int) -> TransmissionTiming {
        TransmissionTiming(
            bitsPerSecond: rate, interleaver: .milliseconds(4800), preamble: .milliseconds(4800), tailBits: 176)
    }
}

/// Loses whole bursts and single D_PDUs by chance, and everything while it is cut.
struct LossyChannel: BurstChannel {
    var random: SplitMix64
    var burstLoss = 0.0
    var elementLoss = 0.0
    var segmentDamage = 0.0
    var cuts: [Range<NIODeadline>] = []

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    mutating func fate(of burst: Burst, from side: HFNodeSide, at start: NIODeadline) -> BurstFate {
        let end = start + burst.duration
        if cuts.contains(where: { $0.lowerBound < end && start < $0.upperBound }) { return .unheard }
        if Double.random(in: 0..<1, using: &random) < burstLoss { return .unheard }
        var fate = BurstFate.intact(burst)
        for index in fate.elements.indices {
            let chance = Double.random(in: 0..<1, using: &random)
            if chance < elementLoss {
                fate.elements[index] = .lost
            } else if chance < elementLoss + segmentDamage {
                fate.elements[index] = .segmentDamaged
            }
        }
        return fate
    }
}
