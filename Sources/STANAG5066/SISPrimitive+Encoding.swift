package import NIOCore

extension SISPrimitive {
    /// Appends the primitive with its header.
    ///
    /// U_PDUs and management messages must not be longer than their types' `maximumBytes`.
    package func encode(into buffer: inout ByteBuffer) {
        let start = buffer.writerIndex
        buffer.writeMultipleIntegers(0x90 as UInt8, 0xEB as UInt8, 0 as UInt8, 0 as UInt16, type)
        encodeFields(into: &buffer)
        let size = buffer.writerIndex - start - Self.headerBytes
        precondition(size <= Self.maximumSize, "a primitive of more than 65535 bytes")
        buffer.setInteger(UInt16(size), at: start + 3)
    }

    private func encodeFields(into buffer: inout ByteBuffer) {
        switch self {
        case .unbindRequest, .dataFlowOn, .dataFlowOff, .keepAlive: break
        case .bindRequest(let bind):
            buffer.writeMultipleIntegers(bind.sap.number << 4 | bind.rank & 0x0F, bind.service.high, bind.service.low)
        case .bindAccepted(let accepted): buffer.writeMultipleIntegers(accepted.sap.number << 4, accepted.mtu)
        case .bindRejected(let reason): buffer.writeInteger(reason.rawValue)
        case .unbindIndication(let reason): buffer.writeInteger(reason.rawValue)
        case .hardLinkEstablish(let link), .hardLinkAccept(let link): buffer.writeHardLink(link)
        case .hardLinkTerminate(let node): buffer.writeInteger(node.field)
        case .hardLinkEstablished(let status, let link), .hardLinkIndication(let status, let link):
            buffer.writeInteger(status.rawValue)
            buffer.writeHardLink(link)
        case .hardLinkRejected(let reason, let link):
            buffer.writeInteger(reason.rawValue)
            buffer.writeHardLink(link)
        case .hardLinkTerminated(let reason, let link):
            buffer.writeInteger(reason.rawValue)
            buffer.writeHardLink(link)
        case .hardLinkReject(let reason, let link):
            buffer.writeInteger(reason.rawValue)
            buffer.writeHardLink(link)
        case .subnetAvailability(let status, let reason): buffer.writeMultipleIntegers(status.rawValue, reason.rawValue)
        case .managementMessageRequest(let message), .managementMessageIndication(let message):
            buffer.writeInteger(message.type)
            buffer.writeImmutableBuffer(message.body)
        case .unidataRequest(let request): buffer.writeRequest(request, priority: request.priority)
        case .expeditedUnidataRequest(let request): buffer.writeRequest(request, priority: 0)
        case .unidataIndication(let indication): buffer.writeIndication(indication, priority: indication.priority)
        case .expeditedUnidataIndication(let indication): buffer.writeIndication(indication, priority: 0)
        case .unidataRequestConfirm(let reference), .expeditedUnidataRequestConfirm(let reference):
            buffer.writeReference(reference, reason: 0)
        case .unidataRequestRejected(let reason, let reference), .expeditedUnidataRequestRejected(let reason, let reference):
            buffer.writeReference(reference, reason: reason.rawValue)
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeHardLink(_ link: HardLink) {
        writeMultipleIntegers(
            link.kind.number << 6 | (link.priority & 0x03) << 4 | link.remoteSAP.number, link.remoteNode.field)
    }

    fileprivate mutating func writeRequest(_ request: UnidataRequest, priority: UInt8) {
        writeMultipleIntegers(
            priority << 4 | request.destinationSAP.number, request.destination.field, request.delivery.high,
            request.delivery.low | UInt8(truncatingIfNeeded: request.timeToLive.units >> 16),
            UInt16(truncatingIfNeeded: request.timeToLive.units), UInt16(clamping: request.uPDU.readableBytes))
        writeImmutableBuffer(request.uPDU)
    }

    fileprivate mutating func writeIndication(_ indication: UnidataIndication, priority: UInt8) {
        writeMultipleIntegers(
            priority << 4 | indication.destinationSAP.number, indication.destination.field,
            indication.mode.number << 4 | indication.sourceSAP.number, indication.source.field,
            UInt16(clamping: indication.uPDU.readableBytes))
        if indication.mode == .nonARQWithErrors {
            for blocks in [indication.erroredBlocks, indication.missingBlocks] {
                writeInteger(UInt16(clamping: blocks.count))
                for block in blocks { writeMultipleIntegers(block.offset, block.length) }
            }
        }
        writeImmutableBuffer(indication.uPDU)
    }

    fileprivate mutating func writeReference(_ reference: UnidataReference, reason: UInt8) {
        writeMultipleIntegers(
            reason << 4 | reference.destinationSAP.number, reference.destination.field,
            UInt16(clamping: reference.prefix.readableBytes))
        writeImmutableBuffer(reference.prefix)
    }
}
