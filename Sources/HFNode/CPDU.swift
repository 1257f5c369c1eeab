package import NIOCore

/// A C_PDU: what one channel access sublayer sends to another (STANAG 5066 Ed. 3 §B.3.1). DATA travels as the user's
/// delivery mode wants; the others travel in type 8 D_PDUs, since ARQ cannot run before there is a link.
package enum CPDU: Hashable, Sendable {
    /// Type 0, with an S_PDU.
    case data(ByteBuffer)
    /// Type 1. An exclusive link carries hard links.
    case linkRequest(isExclusive: Bool)
    /// Type 2.
    case linkAccepted
    /// Type 3.
    case linkRejected(reason: UInt8)
    /// Type 4.
    case linkBreak(reason: UInt8)
    /// Type 5.
    case linkBreakConfirm

    /// Reasons of a rejection (§B.3.1.4).
    package enum RejectReason {
        package static let unknown: UInt8 = 0
        package static let broadcastOnly: UInt8 = 1
        package static let higherPriorityPending: UInt8 = 2
        package static let exclusiveLink: UInt8 = 3
    }

    /// Reasons of a break (§B.3.1.5).
    package enum BreakReason {
        package static let unknown: UInt8 = 0
        package static let higherLayer: UInt8 = 1
        package static let broadcast: UInt8 = 2
        package static let higherPriorityPending: UInt8 = 3
        package static let noMoreData: UInt8 = 4
    }

    /// Nil for an empty C_PDU and for a reserved type.
    package init?(decoding buffer: ByteBuffer) {
        var reader = buffer
        guard let first: UInt8 = reader.readInteger() else { return nil }
        switch first >> 4 {
        case 0: self = .data(reader.slice())
        case 1: self = .linkRequest(isExclusive: first & 1 != 0)
        case 2: self = .linkAccepted
        case 3: self = .linkRejected(reason: first & 0x0F)
        case 4: self = .linkBreak(reason: first & 0x0F)
        case 5: self = .linkBreakConfirm
        default: return nil
        }
    }

    package func encoded() -> ByteBuffer {
        switch self {
        case .data(var unit):
            var buffer = ByteBuffer()
            buffer.reserveCapacity(1 + unit.readableBytes)
            buffer.writeInteger(UInt8(0))
            buffer.writeBuffer(&unit)
            return buffer
        case .linkRequest(let isExclusive): return ByteBuffer(integer: isExclusive ? UInt8(0x11) : 0x10)
        case .linkAccepted: return ByteBuffer(integer: UInt8(0x20))
        case .linkRejected(let reason): return ByteBuffer(integer: 0x30 | reason & 0x0F)
        case .linkBreak(let reason): return ByteBuffer(integer: 0x40 | reason & 0x0F)
        case .linkBreakConfirm: return ByteBuffer(integer: UInt8(0x50))
        }
    }
}
