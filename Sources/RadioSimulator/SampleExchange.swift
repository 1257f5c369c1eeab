package import HFNode
package import NIOCore
import SeededRandom
package import STANAG5066

/// A client as ``SampleExchange`` uses it, in virtual time or behind a socket.
package protocol SampleClient: AnyObject {
    func mayOffer(bytes: Int, to destination: NodeAddress) -> Bool
    func offer(_ request: UnidataRequest, now: NIODeadline) -> SISUnitID
}

extension VirtualClient: SampleClient {}

/// Two clients that send each other numbered U_PDUs of seeded lengths, some with the confirmation of the node, some
/// with that of the client, and look at what arrives. What is rejected or lost is sent again, as something reliable on
/// top would do.
package final class SampleExchange {
    package struct Outcome: Equatable, Sendable {
        package var sent = 0
        package var confirmed = 0
        /// Different ones.
        package var arrived = 0
        package var bytes = 0
        package var sentAgain = 0
        package var arrivedTwice = 0
        package var outOfOrder = 0
        /// With other bytes than were sent.
        package var damaged = 0
        /// From the first offer to the first arrival; mean and longest.
        package var meanLatency = TimeAmount.zero
        package var longestLatency = TimeAmount.zero
    }

    private final class Party {
        weak var client: (any SampleClient)?
        /// The node has this client.
        var isBound = false
        var waiting: [UInt32] = []
        var inNode: [SISUnitID: UInt32] = [:]
        var offered: [UInt32: NIODeadline] = [:]
        var confirmed: Set<UInt32> = []
        var arrived: Set<UInt32> = []
        var last: UInt32 = 0
        var latencies: [TimeAmount] = []
        var outcome = Outcome()
    }

    private let parties = [Party(), Party()]
    private let sizes: [Int]
    private let seed: UInt64
    private let addresses: [NodeAddress]

    /// The SAP of both clients, one of those for free use: what they send has no RCOP header.
    package static let sap = SAP(low: 13)

    /// - Parameters:
    ///   - units: from each side.
    ///   - longest: of a unit, in bytes, 64 or more.
    package init(units: Int, longest: Int, addresses: [NodeAddress], seed: UInt64) {
        var random = SplitMix64(seed: seed)
        sizes = (0..<units).map { _ in Int.random(in: 16...max(64, longest), using: &random) }
        self.addresses = addresses
        self.seed = seed
        for party in parties { party.waiting = (0..<units).map { UInt32($0 + 1) } }
    }

    package static var configuration: SISClientConfiguration {
        SISClientConfiguration(
            bind: BindRequest(sap: sap, rank: 0, service: ServiceType(.arq, confirmation: .node)))
    }

    package func joined(_ side: HFNodeSide, _ client: any SampleClient) { parties[side.rawValue].client = client }

    /// Everything has arrived and is confirmed.
    package var isOver: Bool {
        parties.allSatisfy { $0.confirmed.count == sizes.count && $0.arrived.count == sizes.count }
    }

    /// Nothing was lost or damaged.
    package var isSuccess: Bool { isOver && parties.allSatisfy { $0.outcome.damaged == 0 } }

    /// What became of the units from this side.
    package func outcome(from side: HFNodeSide) -> Outcome {
        let sender = parties[side.rawValue]
        let receiver = parties[side.other.rawValue]
        var outcome = receiver.outcome
        outcome.sent = sender.offered.count
        outcome.confirmed = sender.confirmed.count
        outcome.sentAgain = sender.outcome.sentAgain
        outcome.arrived = receiver.arrived.count
        let total = receiver.latencies.reduce(TimeAmount.zero) { $0 + $1 }
        outcome.meanLatency = .nanoseconds(total.nanoseconds / Int64(max(1, receiver.latencies.count)))
        outcome.longestLatency = receiver.latencies.max() ?? .zero
        return outcome
    }

    package func clientActed(_ side: HFNodeSide, _ action: SISClientAction, now: NIODeadline) {
        switch action {
        case .bound:
            parties[side.rawValue].isBound = true
            for side in HFNodeSide.allCases { fill(side, now: now) }
        case .creditAvailable: fill(side, now: now)
        case .deliver(let indication): arrived(side, indication, now: now)
        case .ended(let id, let end): ended(side, id, end)
        default: break
        }
    }

    private func fill(_ side: HFNodeSide, now: NIODeadline) {
        // A node confirms what comes while it has no client.
        guard parties.allSatisfy(\.isBound) else { return }
        let party = parties[side.rawValue]
        let destination = addresses[side.other.rawValue]
        while let number = party.waiting.first, let client = party.client {
            let unit = unit(number, from: side)
            guard client.mayOffer(bytes: unit.readableBytes, to: destination) else { return }
            party.waiting.removeFirst()
            if party.offered[number] == nil { party.offered[number] = now } else { party.outcome.sentAgain += 1 }
            let confirmation: DeliveryConfirmation = number % 2 == 0 ? .client : .node
            let request = UnidataRequest(
                priority: 0, destinationSAP: Self.sap, destination: destination,
                delivery: ServiceType(.arq, confirmation: confirmation), timeToLive: .unlimited, uPDU: unit)
            party.inNode[client.offer(request, now: now)] = number
        }
    }

    private func unit(_ number: UInt32, from side: HFNodeSide) -> ByteBuffer {
        let size = number > 0 && Int(number) <= sizes.count ? sizes[Int(number) - 1] : 16
        var bytes = ByteBuffer(integer: number)
        var random = SplitMix64(seed: seed &+ UInt64(number) &* 2 &+ UInt64(side.rawValue))
        while bytes.readableBytes < size { bytes.writeInteger(random.next()) }
        return bytes.readSlice(length: size) ?? bytes
    }

    private func arrived(_ side: HFNodeSide, _ indication: UnidataIndication, now: NIODeadline) {
        let party = parties[side.rawValue]
        let sender = parties[side.other.rawValue]
        let number: UInt32 = indication.uPDU.getInteger(at: indication.uPDU.readerIndex) ?? 0
        guard indication.uPDU == unit(number, from: side.other), let offered = sender.offered[number] else {
            party.outcome.damaged += 1
            return
        }
        guard party.arrived.insert(number).inserted else {
            party.outcome.arrivedTwice += 1
            return
        }
        if number < party.last { party.outcome.outOfOrder += 1 }
        party.last = max(party.last, number)
        party.outcome.bytes += indication.uPDU.readableBytes
        party.latencies.append(now - offered)
    }

    private func ended(_ side: HFNodeSide, _ id: SISUnitID, _ end: SISUnitEnd) {
        let party = parties[side.rawValue]
        guard let number = party.inNode.removeValue(forKey: id) else { return }
        if case .confirmed = end {
            party.confirmed.insert(number)
        } else {
            party.waiting.insert(number, at: party.waiting.firstIndex { $0 > number } ?? party.waiting.endIndex)
        }
    }
}
