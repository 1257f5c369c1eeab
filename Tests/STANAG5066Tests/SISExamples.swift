import NIOCore
import STANAG5066
import Testing

/// Primitives with their bytes, worked out by hand from the figures of STANAG 5066 Ed. 3 §A.2.2. Our node is 10.9.8.7, the
/// other 10.1.2.3, and both clients are on SAP 6.
struct SISExample: Sendable, CustomTestStringConvertible {
    let name: String
    let primitive: SISPrimitive
    let bytes: ByteBuffer

    init(_ name: String, _ primitive: SISPrimitive, _ hex: String) {
        self.name = name
        self.primitive = primitive
        bytes = ByteBuffer(hex: hex)
    }

    var testDescription: String { name }

    static let here = NodeAddress(field: 0xEA09_0807)
    static let there = NodeAddress(field: 0xEA01_0203)
    private static let service = ServiceType(.arq, confirmation: .client)
    private static let reservation = HardLink.reservation(of: there, priority: 0)
    private static let stanza = "<presence from='a@x.lit/r' to='b@y.lit'/>"
    static let uPDU: ByteBuffer = {
        var uPDU = ByteBuffer(bytes: [0x00, 0x11, 0x00, 0x00, 0x83, 0x61])
        uPDU.writeString(stanza)
        return uPDU
    }()
    private static let uPDUHex = """
        00 11 00 00 83 61 3C 70 72 65 73 65 6E 63 65 20 66 72 6F 6D 3D 27 61 40 78 2E 6C 69 74 2F 72 27
        20 74 6F 3D 27 62 40 79 2E 6C 69 74 27 2F 3E
        """

    private static func link(_ kind: HardLink.Kind, _ priority: UInt8, _ sap: SAP, _ node: NodeAddress) -> HardLink {
        HardLink(kind, priority: priority, remoteSAP: sap, remoteNode: node)
    }

    private static func reference(_ bytes: Int) -> UnidataReference {
        UnidataReference(destinationSAP: .rcop, destination: there, prefix: uPDU.getSlice(at: 0, length: bytes) ?? ByteBuffer())
    }

    private static func request(_ delivery: ServiceType, _ timeToLive: TimeToLive) -> SISPrimitive {
        .unidataRequest(
            UnidataRequest(
                priority: 0, destinationSAP: .rcop, destination: there, delivery: delivery, timeToLive: timeToLive,
                uPDU: ByteBuffer()))
    }

    private static let short = ByteBuffer(bytes: [0xAB, 0xCD])
    private static let management = ManagementMessage(type: 7, body: short)

    private static let withErrors: SISPrimitive = {
        var indication = UnidataIndication(
            priority: 0, destinationSAP: .udop, destination: NodeAddress(field: 0xF000_0001), mode: .nonARQWithErrors,
            sourceSAP: .udop, source: here, uPDU: ByteBuffer(string: "ABCDEFGHIJKLMNOP"))
        indication.erroredBlocks = [UnidataIndication.Block(offset: 4, length: 3)]
        indication.missingBlocks = [UnidataIndication.Block(offset: 12, length: 4)]
        return .unidataIndication(indication)
    }()

    static let all = [
        SISExample(
            "bind, client confirmation", .bindRequest(BindRequest(sap: .rcop, rank: 5, service: service)),
            "90 EB 00 00 04 01 65 18 00"),
        SISExample(
            "bind, node confirmation",
            .bindRequest(BindRequest(sap: .rcop, rank: 5, service: ServiceType(.arq, confirmation: .node))),
            "90 EB 00 00 04 01 65 14 00"),
        SISExample(
            "bind, non-ARQ",
            .bindRequest(BindRequest(sap: .udop, rank: 0, service: ServiceType(.nonARQ, minimumRetransmissions: 3))),
            "90 EB 00 00 04 01 70 20 30"),
        SISExample("bind accepted", .bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)), "90 EB 00 00 04 03 60 08 00"),
        SISExample("bind rejected", .bindRejected(.sapAlreadyAllocated), "90 EB 00 00 02 04 03"),
        SISExample("unbind", .unbindRequest, "90 EB 00 00 01 02"),
        SISExample("unbind by the node", .unbindIndication(.inactivity), "90 EB 00 00 02 05 02"),
        SISExample("keep-alive", .keepAlive, "90 EB 00 00 01 11"),
        SISExample("flow on", .dataFlowOn, "90 EB 00 00 01 0F"),
        SISExample("flow off", .dataFlowOff, "90 EB 00 00 01 10"),
        SISExample("subnet", .subnetAvailability(.receiveOnly, .emissionControl), "90 EB 00 00 03 0E 02 01"),
        SISExample("link reservation", .hardLinkEstablish(reservation), "90 EB 00 00 06 06 00 EA 01 02 03"),
        SISExample(
            "full bandwidth", .hardLinkEstablish(link(.fullBandwidth, 1, .rcop, there)), "90 EB 00 00 06 06 96 EA 01 02 03"),
        SISExample("link established", .hardLinkEstablished(.ok, reservation), "90 EB 00 00 07 08 01 00 EA 01 02 03"),
        SISExample(
            "link rejected", .hardLinkRejected(.remoteNodeNotResponding, reservation), "90 EB 00 00 07 09 03 00 EA 01 02 03"),
        SISExample(
            "link terminated", .hardLinkTerminated(.physicalLinkBroken, reservation), "90 EB 00 00 07 0A 05 00 EA 01 02 03"),
        SISExample("link termination", .hardLinkTerminate(there), "90 EB 00 00 05 07 EA 01 02 03"),
        SISExample(
            "link offered", .hardLinkIndication(.ok, link(.fullBandwidth, 1, .rcop, here)),
            "90 EB 00 00 07 0B 01 96 EA 09 08 07"),
        SISExample("link accepted", .hardLinkAccept(link(.fullBandwidth, 1, .rcop, here)), "90 EB 00 00 06 0C 96 EA 09 08 07"),
        SISExample(
            "link refused", .hardLinkReject(.modeNotSupported, link(.fullBandwidth, 1, .rcop, here)),
            "90 EB 00 00 07 0D 01 96 EA 09 08 07"),
        SISExample(
            "request",
            .unidataRequest(
                UnidataRequest(
                    priority: 5, destinationSAP: .rcop, destination: there, delivery: service,
                    timeToLive: TimeToLive(.seconds(600)),
                    uPDU: uPDU)), "90 EB 00 00 3B 14 56 EA 01 02 03 18 00 01 2C 00 2F" + uPDUHex),
        SISExample(
            "indication",
            .unidataIndication(
                UnidataIndication(
                    priority: 5, destinationSAP: .rcop, destination: there, mode: .arq, sourceSAP: .rcop, source: here,
                    uPDU: uPDU)),
            "90 EB 00 00 3C 15 56 EA 01 02 03 16 EA 09 08 07 00 2F" + uPDUHex),
        SISExample(
            "confirmation", .unidataRequestConfirm(reference(6)), "90 EB 00 00 0E 16 06 EA 01 02 03 00 06 00 11 00 00 83 61"),
        SISExample(
            "rejection", .unidataRequestRejected(.timeToLiveExpired, reference(8)),
            "90 EB 00 00 10 17 16 EA 01 02 03 00 08 00 11 00 00 83 61 3C 70"),
        SISExample("empty U_PDU", request(.default, .unlimited), "90 EB 00 00 0C 14 06 EA 01 02 03 00 00 00 00 00 00"),
        SISExample(
            "longest time to live", request(service, TimeToLive(units: 648_000)),
            "90 EB 00 00 0C 14 06 EA 01 02 03 18 09 E3 40 00 00"),
        SISExample(
            "with errors", withErrors,
            "90 EB 00 00 29 15 07 F0 00 00 01 37 EA 09 08 07 00 10 00 01 00 04 00 03 00 01 00 0C 00 04 "
                + "41 42 43 44 45 46 47 48 49 4A 4B 4C 4D 4E 4F 50"),
        SISExample("management request", .managementMessageRequest(management), "90 EB 00 00 04 12 07 AB CD"),
        SISExample("management indication", .managementMessageIndication(management), "90 EB 00 00 04 13 07 AB CD"),
        SISExample(
            "expedited request",
            .expeditedUnidataRequest(
                UnidataRequest(
                    priority: 0, destinationSAP: .rcop, destination: there, delivery: service,
                    timeToLive: TimeToLive(.seconds(600)), uPDU: short)),
            "90 EB 00 00 0E 18 06 EA 01 02 03 18 00 01 2C 00 02 AB CD"),
        SISExample(
            "expedited indication",
            .expeditedUnidataIndication(
                UnidataIndication(
                    priority: 0, destinationSAP: .rcop, destination: there, mode: .arq, sourceSAP: .rcop, source: here,
                    uPDU: short)),
            "90 EB 00 00 0F 19 06 EA 01 02 03 16 EA 09 08 07 00 02 AB CD"),
        SISExample(
            "expedited confirmation",
            .expeditedUnidataRequestConfirm(UnidataReference(destinationSAP: .rcop, destination: there, prefix: short)),
            "90 EB 00 00 0A 1A 06 EA 01 02 03 00 02 AB CD"),
        SISExample(
            "expedited rejection",
            .expeditedUnidataRequestRejected(
                .destinationNotResponding, UnidataReference(destinationSAP: .rcop, destination: there, prefix: short)),
            "90 EB 00 00 0A 1B 36 EA 01 02 03 00 02 AB CD"),
    ]
}

extension ByteBuffer {
    /// Hexadecimal digits; white space between them is left out.
    init(hex: String) {
        self.init()
        let digits = hex.utf8.compactMap {
            UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") ? $0 - 48 : $0 >= 65 ? $0 - 55 : nil
        }
        for index in stride(from: 0, to: digits.count - 1, by: 2) { writeInteger(digits[index] << 4 | digits[index + 1]) }
    }
}

extension SISPrimitive {
    var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        encode(into: &buffer)
        return buffer
    }
}
