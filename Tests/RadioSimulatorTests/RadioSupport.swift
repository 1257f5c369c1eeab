import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import Testing

extension RadioLink {
    /// A link that is shipped.
    static func shipped(_ name: String) throws -> RadioLink {
        let directory = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return try LinkFiles(own: ["/\(directory)/sim/links"]).link(name)
    }
}

/// Two clients on two nodes that send each other numbered U_PDUs; each is offered again until it is confirmed, as
/// something reliable on top would do.
final class Conversation {
    final class Party {
        var client: VirtualClient?
        /// Numbers that were not offered, in order.
        var waiting: [UInt32] = []
        var inNode: [SISUnitID: UInt32] = [:]
        var confirmed: Set<UInt32> = []
        /// Numbers in the order of their arrival.
        var received: [UInt32] = []
        var subnet: [SubnetStatus] = []
        var binds = 0
        /// How often the node gave each number back.
        var rejections: [UInt32: Int] = [:]
        /// When it did; what a lost link takes along comes back at one moment.
        var setbacks: Set<NIODeadline> = []
        var lost = 0
    }

    let radio: VirtualRadio
    private let parties = [Party(), Party()]
    let unitBytes: Int
    let confirmation: DeliveryConfirmation

    init(
        _ link: RadioLink, seed: UInt64 = 1, unitBytes: Int = 300, confirmation: DeliveryConfirmation = .node,
        server: SISServerConfiguration = SISServerConfiguration(), change: (inout SISClientConfiguration) -> Void = { _ in }
    ) {
        radio = VirtualRadio(link: link, seed: seed, server: server)
        self.unitBytes = unitBytes
        self.confirmation = confirmation
        var configuration = SISClientConfiguration(
            bind: BindRequest(sap: .rcop, rank: 5, service: ServiceType(.arq, confirmation: confirmation)))
        change(&configuration)
        for side in HFNodeSide.allCases {
            let client = radio.addClient(side, configuration, seed: UInt64(side.rawValue)) { [unowned self] client, action, now in
                acted(client, action, now)
            }
            parties[side.rawValue].client = client
        }
        for side in HFNodeSide.allCases { radio.act { _, now in fill(side, now) } }
    }

    subscript(_ side: HFNodeSide) -> Party { parties[side.rawValue] }

    func send(_ side: HFNodeSide, _ numbers: ClosedRange<UInt32>) {
        self[side].waiting += numbers
        radio.act { _, now in fill(side, now) }
    }

    private func acted(_ client: VirtualClient, _ action: SISClientAction, _ now: NIODeadline) {
        let party = self[client.side]
        switch action {
        case .creditAvailable: fill(client.side, now)
        case .bound: party.binds += 1
        case .subnetChanged(let status, _): party.subnet.append(status)
        case .deliver(let indication):
            let number: UInt32? = indication.uPDU.getInteger(at: indication.uPDU.readerIndex)
            #expect(indication.uPDU.readableBytes == unitBytes)
            party.received.append(number ?? 0)
        case .ended(let id, let end):
            guard let number = party.inNode.removeValue(forKey: id) else { return }
            switch end {
            case .confirmed: party.confirmed.insert(number)
            case .rejected:
                party.rejections[number, default: 0] += 1
                party.setbacks.insert(now)
            case .lost: party.lost += 1
            case .handedOver, .notSent: break
            }
            if !party.confirmed.contains(number), end != .handedOver {
                party.waiting.append(number)
                party.waiting.sort()
            }
        default: break
        }
    }

    private func fill(_ side: HFNodeSide, _ now: NIODeadline) {
        let party = self[side]
        let destination = radio.nodes.address(side.other)
        while let number = party.waiting.first, let client = party.client,
            client.mayOffer(bytes: unitBytes, to: destination)
        {
            party.waiting.removeFirst()
            var unit = ByteBuffer(integer: number)
            unit.writeRepeatingByte(UInt8(truncatingIfNeeded: number), count: unitBytes - 4)
            let id = client.offer(
                UnidataRequest(
                    priority: 5, destinationSAP: .rcop, destination: destination,
                    delivery: ServiceType(.arq, confirmation: confirmation), timeToLive: TimeToLive(.hours(12)), uPDU: unit),
                now: now)
            party.inNode[id] = number
        }
    }

    /// Both have confirmed everything.
    var isQuiet: Bool { parties.allSatisfy { $0.waiting.isEmpty && $0.inNode.isEmpty } }
}
