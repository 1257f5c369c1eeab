import NIOCore
package import STANAG5066

/// A U_PDU that a client of this node wants delivered.
package struct SubmittedUnit: Hashable, Sendable {
    /// The caller's name for it, in confirmations and rejections.
    package var id: UInt64
    /// Of the client.
    package var sourceSAP: SAP
    package var request: UnidataRequest

    package init(id: UInt64, sourceSAP: SAP, _ request: UnidataRequest) {
        self.id = id
        self.sourceSAP = sourceSAP
        self.request = request
    }

    var bytes: Int { request.uPDU.readableBytes }
    var confirmation: DeliveryConfirmation { request.delivery.confirmation }
}
