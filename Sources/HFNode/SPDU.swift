package import NIOCore

/// An S_PDU: what one subnetwork interface sublayer sends to another (STANAG 5066 Ed. 3 §A.3.1, figures ).
package enum SPDU: Hashable, Sendable {
    /// A client's unit on its way.
    package struct DataUnit: Hashable, Sendable {
        /// 0 to 15.
        package var priority: UInt8
        package var saps: SAPPair
        package var wantsClientConfirmation: Bool
        package var timeToDie: TimeToDie?
        package var unit: ByteBuffer

        package init(
            priority: UInt8, saps: SAPPair, wantsClientConfirmation: Bool, timeToDie: TimeToDie?, unit: ByteBuffer
        ) {
            self.priority = priority & 0x0F
            self.saps = saps
            self.wantsClientConfirmation = wantsClientConfirmation
            self.timeToDie = timeToDie
            self.unit = unit
        }
    }

    /// Source and destination SAP; in confirmations, those of the unit that is confirmed.
    package struct SAPPair: Hashable, Sendable {
        package var source: UInt8
        package var destination: UInt8

        /// Of each the low four bits are taken.
        package init(source: UInt8, destination: UInt8) {
            self.source = source & 0x0F
            self.destination = destination & 0x0F
        }

        var byte: UInt8 { source << 4 | destination }

        init(byte: UInt8) {
            self.init(source: byte >> 4, destination: byte)
        }
    }

    /// Type 0.
    case data(DataUnit)
    /// Type 1: the unit was delivered to a client. With the unit, or the front of it.
    case deliveryConfirm(SAPPair, unit: ByteBuffer)
    /// Type 2. Reason 1: nobody is bound to the destination SAP.
    case deliveryFail(SAPPair, reason: UInt8, unit: ByteBuffer)
    /// Type 3.
    case hardLinkRequest(linkType: UInt8, priority: UInt8, requestingSAP: UInt8, remoteSAP: UInt8)
    /// Type 4.
    case hardLinkConfirm
    /// Type 5.
    case hardLinkRejected(reason: UInt8)
    /// Type 6.
    case hardLinkTerminate(reason: UInt8)
    /// Type 7.
    case hardLinkTerminateConfirm

    package static let destinationNotBound: UInt8 = 1

    /// Nil for what is too short and for reserved types.
    package init?(decoding buffer: ByteBuffer) {
        var reader = buffer
        guard let first: UInt8 = reader.readInteger() else { return nil }
        let low = first & 0x0F
        switch first >> 4 {
        case 0:
            guard let (saps, flags) = reader.readMultipleIntegers(as: (UInt8, UInt8).self) else { return nil }
            var timeToDie: TimeToDie?
            if flags & 0x40 != 0 {
                guard let rest: UInt16 = reader.readInteger() else { return nil }
                timeToDie = TimeToDie(field: UInt32(flags & 0x0F) << 16 | UInt32(rest))
            }
            self = .data(
                DataUnit(
                    priority: low, saps: SAPPair(byte: saps), wantsClientConfirmation: flags & 0x80 != 0,
                    timeToDie: timeToDie, unit: reader.slice()))
        case 1:
            guard let saps: UInt8 = reader.readInteger() else { return nil }
            self = .deliveryConfirm(SAPPair(byte: saps), unit: reader.slice())
        case 2:
            guard let saps: UInt8 = reader.readInteger() else { return nil }
            self = .deliveryFail(SAPPair(byte: saps), reason: low, unit: reader.slice())
        case 3:
            guard let saps: UInt8 = reader.readInteger() else { return nil }
            self = .hardLinkRequest(
                linkType: low >> 2, priority: low & 3, requestingSAP: saps >> 4, remoteSAP: saps & 0x0F)
        case 4: self = .hardLinkConfirm
        case 5: self = .hardLinkRejected(reason: low)
        case 6: self = .hardLinkTerminate(reason: low)
        case 7: self = .hardLinkTerminateConfirm
        default: return nil
        }
    }

    package func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        switch self {
        case .data(var data):
            var flags: UInt8 = data.wantsClientConfirmation ? 0x80 : 0
            if let timeToDie = data.timeToDie { flags |= 0x40 | timeToDie.day & 0x0F }
            buffer.writeMultipleIntegers(data.priority & 0x0F, data.saps.byte, flags)
            if let timeToDie = data.timeToDie { buffer.writeInteger(timeToDie.halfSeconds) }
            buffer.writeBuffer(&data.unit)
        case .deliveryConfirm(let saps, var unit):
            buffer.writeMultipleIntegers(UInt8(0x10), saps.byte)
            buffer.writeBuffer(&unit)
        case .deliveryFail(let saps, let reason, var unit):
            buffer.writeMultipleIntegers(0x20 | reason & 0x0F, saps.byte)
            buffer.writeBuffer(&unit)
        case .hardLinkRequest(let linkType, let priority, let requesting, let remote):
            buffer.writeMultipleIntegers(0x30 | (linkType & 3) << 2 | priority & 3, requesting << 4 | remote & 0x0F)
        case .hardLinkConfirm: buffer.writeInteger(UInt8(0x40))
        case .hardLinkRejected(let reason): buffer.writeInteger(0x50 | reason & 0x0F)
        case .hardLinkTerminate(let reason): buffer.writeInteger(0x60 | reason & 0x0F)
        case .hardLinkTerminateConfirm: buffer.writeInteger(UInt8(0x70))
        }
        return buffer
    }
}
