import NIOCore

extension SISPrimitive {
    /// Reads the fields of a primitive whose size was found not to be less than its type's.
    ///
    /// - Parameters:
    ///   - fields: what Size_of_Primitive counts, without the type.
    ///   - alignment: of node addresses with a size below 7.
    /// - Throws: a ``SISError`` that is not fatal; `.tooShort` only where the size was not checked.
    init(type: UInt8, fields: ByteBuffer, alignment: NodeAddress.Alignment) throws(SISError) {
        var reader = FieldReader(type: type, bytes: fields, alignment: alignment)
        switch type {
        case 1: self = .bindRequest(try reader.bindRequest())
        case 2: self = .unbindRequest
        case 3: self = .bindAccepted(BindAccepted(sap: SAP(low: try reader.integer() as UInt8 >> 4), mtu: try reader.integer()))
        case 4: self = .bindRejected(BindRejectedReason(rawValue: try reader.integer()))
        case 5: self = .unbindIndication(UnbindReason(rawValue: try reader.integer()))
        case 6: self = .hardLinkEstablish(try reader.hardLink())
        case 7: self = .hardLinkTerminate(try reader.address())
        case 8: self = .hardLinkEstablished(RemoteNodeStatus(rawValue: try reader.integer()), try reader.hardLink())
        case 9: self = .hardLinkRejected(HardLinkRejectedReason(rawValue: try reader.integer()), try reader.hardLink())
        case 10: self = .hardLinkTerminated(HardLinkTerminatedReason(rawValue: try reader.integer()), try reader.hardLink())
        case 11: self = .hardLinkIndication(RemoteNodeStatus(rawValue: try reader.integer()), try reader.hardLink())
        case 12: self = .hardLinkAccept(try reader.hardLink())
        case 13: self = .hardLinkReject(HardLinkRejectReason(rawValue: try reader.integer()), try reader.hardLink())
        case 14:
            self = .subnetAvailability(
                SubnetStatus(rawValue: try reader.integer()), SubnetReason(rawValue: try reader.integer()))
        case 15: self = .dataFlowOn
        case 16: self = .dataFlowOff
        case 17: self = .keepAlive
        case 18: self = .managementMessageRequest(try reader.managementMessage())
        case 19: self = .managementMessageIndication(try reader.managementMessage())
        case 20: self = .unidataRequest(try reader.request(hasPriority: true))
        case 21: self = .unidataIndication(try reader.indication(hasPriority: true))
        case 22: self = .unidataRequestConfirm(try reader.reference().reference)
        case 23:
            let (reason, reference) = try reader.reference()
            self = .unidataRequestRejected(reason, reference)
        case 24: self = .expeditedUnidataRequest(try reader.request(hasPriority: false))
        case 25: self = .expeditedUnidataIndication(try reader.indication(hasPriority: false))
        case 26: self = .expeditedUnidataRequestConfirm(try reader.reference().reference)
        case 27:
            let (reason, reference) = try reader.reference()
            self = .expeditedUnidataRequestRejected(reason, reference)
        default: throw .unknownType(type)
        }
    }
}

/// The fields of one primitive, read one after the other.
private struct FieldReader {
    let type: UInt8
    var bytes: ByteBuffer
    let alignment: NodeAddress.Alignment

    mutating func integer<Integer: FixedWidthInteger>() throws(SISError) -> Integer {
        guard let value: Integer = bytes.readInteger() else {
            throw .tooShort(type: type, size: UInt16(clamping: bytes.writerIndex))
        }
        return value
    }

    mutating func data(_ count: UInt16) throws(SISError) -> ByteBuffer {
        guard let data = bytes.readSlice(length: Int(count)) else { throw .dataBeyondEnd(type: type) }
        return data
    }

    mutating func address() throws(SISError) -> NodeAddress {
        NodeAddress(field: try integer(), alignment: alignment)
    }

    mutating func bindRequest() throws(SISError) -> BindRequest {
        let first: UInt8 = try integer()
        let service = ServiceType(high: try integer(), low: try integer())
        return BindRequest(sap: SAP(low: first >> 4), rank: first & 0x0F, service: service)
    }

    mutating func hardLink() throws(SISError) -> HardLink {
        let first: UInt8 = try integer()
        return HardLink(
            HardLink.Kind(low: first >> 6), priority: first >> 4 & 0x03, remoteSAP: SAP(low: first), remoteNode: try address())
    }

    mutating func managementMessage() throws(SISError) -> ManagementMessage {
        ManagementMessage(type: try integer(), body: bytes.slice())
    }

    mutating func request(hasPriority: Bool) throws(SISError) -> UnidataRequest {
        let first: UInt8 = try integer()
        let destination = try address()
        let high: UInt8 = try integer()
        let middle: UInt8 = try integer()
        let low: UInt16 = try integer()
        // A larger time than the standard's largest is taken for that (figure A-20 leaves room for 24 days).
        let timeToLive = TimeToLive(units: UInt32(middle & 0x0F) << 16 | UInt32(low))
        return UnidataRequest(
            priority: hasPriority ? first >> 4 : 0, destinationSAP: SAP(low: first), destination: destination,
            delivery: ServiceType(high: high, low: middle), timeToLive: timeToLive, uPDU: try data(try integer()))
    }

    mutating func indication(hasPriority: Bool) throws(SISError) -> UnidataIndication {
        let first: UInt8 = try integer()
        let destination = try address()
        let second: UInt8 = try integer()
        let mode = TransmissionMode(low: second >> 4)
        let source = try address()
        let count: UInt16 = try integer()
        var errored: [UnidataIndication.Block] = []
        var missing: [UnidataIndication.Block] = []
        if mode == .nonARQWithErrors {
            errored = try blocks()
            missing = try blocks()
        } else if bytes.readableBytes == Int(count) + 4, bytes.getInteger(at: bytes.readerIndex, as: UInt32.self) == 0 {
            // COMPAT: Rockwell Collins stacks up to 2.1 write both counts, as zeros, in every mode.
            bytes.moveReaderIndex(forwardBy: 4)
        }
        var indication = UnidataIndication(
            priority: hasPriority ? first >> 4 : 0, destinationSAP: SAP(low: first), destination: destination, mode: mode,
            sourceSAP: SAP(low: second), source: source, uPDU: try data(count))
        indication.erroredBlocks = errored
        indication.missingBlocks = missing
        return indication
    }

    private mutating func blocks() throws(SISError) -> [UnidataIndication.Block] {
        guard let count: UInt16 = bytes.readInteger(), bytes.readableBytes >= Int(count) * 4 else {
            throw .blocksBeyondEnd(type: type)
        }
        var blocks: [UnidataIndication.Block] = []
        blocks.reserveCapacity(Int(count))
        for _ in 0..<count {
            blocks.append(UnidataIndication.Block(offset: try integer(), length: try integer()))
        }
        return blocks
    }

    mutating func reference() throws(SISError) -> (reason: UnidataRejectedReason, reference: UnidataReference) {
        let first: UInt8 = try integer()
        let destination = try address()
        let prefix = try data(try integer())
        return (
            UnidataRejectedReason(rawValue: first >> 4),
            UnidataReference(destinationSAP: SAP(low: first), destination: destination, prefix: prefix)
        )
    }
}
