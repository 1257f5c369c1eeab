import NIOCore
import STANAG5066

extension NIODeadline {
    /// A moment of tests' time.
    static func second(_ second: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(second) }
}

extension RCOPSource {
    static let ship = RCOPSource(node: NodeAddress("10.9.8.7") ?? .broadcast, sap: .rcop)
    static let shore = RCOPSource(node: NodeAddress("10.1.2.3") ?? .broadcast, sap: .rcop)
}

extension RCOPSender {
    /// Everything that the node would take at once.
    mutating func drawAll(now: NIODeadline = .second(0)) -> [RCOPUPDU] {
        var drawn: [RCOPUPDU] = []
        while let uPDU = nextUPDU(now: now) { drawn.append(uPDU) }
        return drawn
    }

    mutating func drawEvents() -> [RCOPSenderEvent] {
        var drawn: [RCOPSenderEvent] = []
        while let event = nextEvent() { drawn.append(event) }
        return drawn
    }
}

extension RCOPReceiver {
    mutating func drawEvents() -> [RCOPReceiverEvent] {
        var drawn: [RCOPReceiverEvent] = []
        while let event = nextEvent() { drawn.append(event) }
        return drawn
    }

    /// The units that come of U_PDUs of one source.
    mutating func units(
        of uPDUs: some Sequence<ByteBuffer>, from source: RCOPSource = .ship, now: NIODeadline = .second(0)
    ) -> [RCOPUnit] {
        for uPDU in uPDUs { uPDUReceived(uPDU, from: source, now: now) }
        return drawEvents().compactMap { if case .unit(let unit) = $0 { unit } else { nil } }
    }
}

/// U_PDUs of one unit, as a sender cuts it.
func cut(
    _ unit: ByteBuffer, _ framing: RCOPFraming = .delimited, mtu: Int = 48, number: UInt8 = 0, connection: UInt8 = 0
) -> [ByteBuffer] {
    var configuration = RCOPSenderConfiguration.skywave(
        connections: [.init(number: connection, priority: 0)], application: .skywave)
    configuration.framing = framing
    var sender = RCOPSender(configuration, firstNumber: number)
    sender.bound(mtu: mtu)
    _ = sender.unitOffered(unit, token: 1, connection: connection)
    return sender.drawAll().map(\.bytes)
}

func cut(
    _ text: String, _ framing: RCOPFraming = .delimited, mtu: Int = 48, number: UInt8 = 0, connection: UInt8 = 0
) -> [ByteBuffer] {
    cut(ByteBuffer(string: text), framing, mtu: mtu, number: number, connection: connection)
}
