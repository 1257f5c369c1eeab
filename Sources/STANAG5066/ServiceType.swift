/// How a U_PDU is to be carried: the service type of a bind, and the delivery mode of one U_PDU (STANAG 5066 Ed. 3 §A.2.2.3,
/// §A.2.2.28.2, figures ). Twelve bits:
///
/// ```
/// transmission mode     4
/// confirmation          2
/// order                 1   0 in order, 1 as they arrive
/// extended              1   0 in this edition
/// retransmissions       4   the least number of them, non-ARQ only
/// ```
package struct ServiceType: Hashable, Sendable {
    package var mode: TransmissionMode
    package var confirmation: DeliveryConfirmation
    /// U_PDUs of the same priority to the same client are delivered in the order in which they were handed over.
    package var isInOrder: Bool
    /// A field that no edition up to 3 defines follows; never set by us.
    package var isExtended: Bool
    /// How often non-ARQ data is sent again, at least; 0 to 15, 0 for sent once.
    package var minimumRetransmissions: UInt8

    /// - Parameters:
    ///   - confirmation: anything but `.none` is legal with ARQ only (§A.2.2.3).
    ///   - minimumRetransmissions: 0 to 15; more is taken for 15.
    package init(
        _ mode: TransmissionMode, confirmation: DeliveryConfirmation = .none, isInOrder: Bool = true,
        minimumRetransmissions: UInt8 = 0
    ) {
        self.mode = mode
        self.confirmation = confirmation
        self.isInOrder = isInOrder
        isExtended = false
        self.minimumRetransmissions = min(minimumRetransmissions, 15)
    }

    /// In a request: as the bind said. All other attributes are then ignored (§A.2.2.28.2). This side always writes modes out.
    package static let `default` = ServiceType(.default)

    // MARK: Bytes

    /// - Parameter high: the byte of mode, confirmation, order and extension; `low`: the retransmissions are its high four bits.
    init(high: UInt8, low: UInt8) {
        mode = TransmissionMode(low: high >> 4)
        confirmation = DeliveryConfirmation(low: high >> 2)
        isInOrder = high & 0x02 == 0
        isExtended = high & 0x01 != 0
        minimumRetransmissions = low >> 4
    }

    var high: UInt8 {
        mode.number << 4 | confirmation.number << 2 | (isInOrder ? 0 : 0x02) | (isExtended ? 0x01 : 0)
    }

    /// The retransmissions in the high four bits; the low four are the next field's.
    var low: UInt8 { min(minimumRetransmissions, 15) << 4 }
}

/// How data crosses (STANAG 5066 Ed. 3 figures ); 4 to 15 are undefined, and kept as they came.
package struct TransmissionMode: Hashable, Sendable {
    /// 0 to 15.
    package let number: UInt8

    /// - Parameter byte: the low four bits count.
    package init(low byte: UInt8) {
        number = byte & 0x0F
    }

    /// In a request: as the bind said. Not legal in a bind.
    package static let `default` = TransmissionMode(low: 0)
    package static let arq = TransmissionMode(low: 1)
    /// Not repeated on request; only what came without errors is delivered.
    package static let nonARQ = TransmissionMode(low: 2)
    /// Not repeated on request; what came with errors, or with gaps, is delivered too.
    package static let nonARQWithErrors = TransmissionMode(low: 3)

    package var isDefined: Bool { number <= 3 }
}

/// Who confirms a U_PDU (STANAG 5066 Ed. 3 figure A-3); 3 is undefined.
package struct DeliveryConfirmation: Hashable, Sendable {
    /// 0 to 3.
    package let number: UInt8

    /// - Parameter byte: the low two bits count.
    package init(low byte: UInt8) {
        number = byte & 0x03
    }

    /// Nobody: what becomes of the U_PDU is never known.
    package static let none = DeliveryConfirmation(low: 0)
    /// The far node has it. Costs no airtime: the node's own acknowledgement says it.
    package static let node = DeliveryConfirmation(low: 1)
    /// A client was bound to the far node's SAP and was given it. Costs an S_PDU over the air.
    package static let client = DeliveryConfirmation(low: 2)
}
