import HFNode
import STANAG5066

extension HFNode.UnidataRequest {
    /// What a client submits, as the node takes it.
    init(id: UInt64, _ request: STANAG5066.UnidataRequest, sourceSAP: SAP) {
        let confirmation: UnidataDelivery.Confirmation =
            switch request.delivery.confirmation {
            case .node: .node
            case .client: .client
            default: .none
            }
        let transmission: UnidataDelivery.Transmission =
            request.delivery.mode == .arq
            ? .arq : .nonARQ(retransmissions: Int(request.delivery.minimumRetransmissions))
        self.init(
            id: id, sourceSAP: sourceSAP.number, destinationSAP: request.destinationSAP.number,
            destination: request.destination, priority: request.priority,
            delivery: UnidataDelivery(
                transmission: transmission, confirmation: confirmation, isInOrder: request.delivery.isInOrder),
            timeToLive: Int(request.timeToLive.units) * 2, unit: request.uPDU)
    }
}

extension STANAG5066.UnidataIndication {
    init(_ indication: HFNode.UnidataIndication) {
        self.init(
            priority: indication.priority, destinationSAP: SAP(low: indication.destinationSAP),
            destination: indication.destination, mode: indication.isARQ ? .arq : .nonARQ,
            sourceSAP: SAP(low: indication.sourceSAP), source: indication.source, uPDU: indication.unit)
    }
}
