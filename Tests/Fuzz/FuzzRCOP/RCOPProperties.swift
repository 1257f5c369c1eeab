import NIOCore
import STANAG5066
import TestSupport
import XMPP

/// What must hold of the putting together of RCOP units for any input whatever.
///
/// The first byte chooses what the rest is: 0 and 1 U_PDUs as they come from nodes, delimited or XML; 2 a unit to be cut,
/// shuffled, doubled and put together again; 3 the same, cut anew for a smaller MTU in the middle; 4 XML that is cut and put
/// together.
enum RCOPProperties {
    /// - Returns: what does not hold, or nil.
    static func violation(in input: [UInt8]) -> String? {
        guard let kind = input.first else { return nil }
        let rest = Array(input.dropFirst())
        switch kind % 5 {
        case 0: return arrivals(rest, .delimited)
        case 1: return arrivals(rest, .stanzas)
        case 2: return roundTrip(rest, isCutAnew: false)
        case 3: return roundTrip(rest, isCutAnew: true)
        default: return stanzas(rest)
        }
    }

    private static let source = NodeAddress(field: 0xEA01_0203)

    // MARK: U_PDUs

    /// Steps of one byte and a U_PDU: two bits of the source, one that a deadline comes, five of how many bytes the U_PDU has; in
    /// front of it the time that has passed. A U_PDU of 31 goes on for as many further bytes as the next byte says.
    private static func arrivals(_ bytes: [UInt8], _ framing: RCOPFraming) -> String? {
        var configuration = RCOPReceiverConfiguration(framing: framing, application: nil)
        configuration.unitBytes = 2_000
        configuration.sourceBytes = 8_000
        configuration.totalBytes = 12_000
        configuration.sources = 3
        configuration.assemblyTimeout = .seconds(100)
        configuration.repeatMemory = .seconds(1_000)
        var receiver = RCOPReceiver(configuration)
        var now = NIODeadline.uptimeNanoseconds(0)
        var input = ByteBuffer(bytes: bytes)
        while let (step, time) = input.readMultipleIntegers(as: (UInt8, UInt8).self) {
            now = now + .seconds(Int64(time))
            var count = Int(step & 0x1F)
            if count == 31, let more: UInt8 = input.readInteger() { count += Int(more) }
            let uPDU = input.readSlice(length: min(count, input.readableBytes)) ?? ByteBuffer()
            let from = RCOPSource(node: NodeAddress(field: UInt32(step >> 6)), sap: .rcop)
            if step & 0x20 != 0 { receiver.deadlineReached(now: now) }
            receiver.uPDUReceived(uPDU, from: from, now: now)
            if !(0...configuration.totalBytes).contains(receiver.heldBytes) { return "\(receiver.heldBytes) bytes held" }
            if receiver.heldBytes > 0, receiver.nextDeadline == nil { return "held, and never given up" }
            while let event = receiver.nextEvent() {
                guard case .unit(let unit) = event else { continue }
                if unit.source != from { return "from another source" }
                if unit.bytes.readableBytes > configuration.unitBytes { return "a unit over the limit" }
                if framing != .delimited, !isAtRest(unit.bytes) { return "a unit in the middle of an element" }
            }
        }
        receiver.deadlineReached(now: now + configuration.assemblyTimeout)
        return receiver.heldBytes == 0 ? nil : "\(receiver.heldBytes) bytes held for ever"
    }

    private static func isAtRest(_ bytes: ByteBuffer) -> Bool {
        var scanner = XMLDepthScanner(maximumDepth: XMLLimits.link.depth)
        scanner.scan(bytes.readableBytesView)
        return scanner.isAtRest && scanner.elements > 0
    }

    // MARK: Round trip

    private static func sender(_ framing: RCOPFraming, mtu: Int, number: UInt8) -> RCOPSender {
        var configuration = RCOPSenderConfiguration.skywave(connections: [.init(number: 1, priority: 0)])
        configuration.framing = framing
        configuration.attempts = 10
        var sender = RCOPSender(configuration, firstNumber: number)
        sender.bound(mtu: mtu)
        return sender
    }

    private static func roundTrip(_ bytes: [UInt8], isCutAnew: Bool) -> String? {
        guard bytes.count >= 3 else { return nil }
        var random = SeededGenerator(seed: UInt64(bytes[0]))
        let unit = ByteBuffer(bytes: bytes[3...])
        let mtu = 16 + Int(bytes[1])
        var sender = sender(.delimited, mtu: mtu, number: bytes[2])
        guard sender.unitOffered(unit, token: 7, connection: 1) == .accepted else { return "not accepted" }
        var drawn: [RCOPUPDU] = []
        while let uPDU = sender.nextUPDU(now: .uptimeNanoseconds(0)) { drawn.append(uPDU) }
        var arriving = (drawn + drawn).shuffled(using: &random).map(\.bytes)
        if isCutAnew {
            arriving.removeLast(Int.random(in: 0...arriving.count, using: &random))
            sender.unbound()
            for uPDU in drawn { sender.uPDULost(uPDU.ticket) }
            sender.bound(mtu: max(16, mtu / 2))
            drawn = []
            while let uPDU = sender.nextUPDU(now: .uptimeNanoseconds(0)) { drawn.append(uPDU) }
            arriving += (drawn + drawn).shuffled(using: &random).map(\.bytes)
        }
        var receiver = RCOPReceiver(RCOPReceiverConfiguration(framing: .delimited, application: .skywave))
        for uPDU in arriving {
            receiver.uPDUReceived(uPDU, from: RCOPSource(node: source, sap: .rcop), now: .uptimeNanoseconds(0))
        }
        guard case .unit(let arrived)? = receiver.nextEvent() else { return "the unit did not arrive" }
        if receiver.nextEvent() != nil { return "something else came with the unit" }
        if arrived.bytes != unit || arrived.number != bytes[2] || arrived.connection != 1 { return "another unit" }
        for uPDU in drawn { sender.uPDUConfirmed(uPDU.ticket) }
        guard sender.nextEvent() == .finished(7), sender.unitCount == 0 else { return "not finished" }
        return nil
    }

    // MARK: XML

    /// What the reader of units takes comes out as the same stanzas, wherever it is cut.
    private static func stanzas(_ bytes: [UInt8]) -> String? {
        guard let first = bytes.first else { return nil }
        let unit = ByteBuffer(bytes: bytes.dropFirst())
        let reader = XMPPUnitReader()
        guard let expected = try? reader.read(unit), !expected.isEmpty else { return nil }
        var sender = sender(.stanzas, mtu: 16 + Int(first), number: first)
        guard sender.unitOffered(unit, token: 7, connection: 1) == .accepted else { return "not accepted" }
        var receiver = RCOPReceiver(RCOPReceiverConfiguration(framing: .stanzas, application: .skywave))
        while let uPDU = sender.nextUPDU(now: .uptimeNanoseconds(0)) {
            receiver.uPDUReceived(uPDU.bytes, from: RCOPSource(node: source, sap: .rcop), now: .uptimeNanoseconds(0))
        }
        var content: [XMPPUnitContent] = []
        while let event = receiver.nextEvent() {
            guard case .unit(let part) = event else { return "lost: \(event)" }
            if part.followsGap || part.isRepeat { return "a gap or a repeat" }
            guard let read = try? reader.read(part.bytes) else { return "a part that is refused" }
            content += read
        }
        return content == expected ? nil : "other stanzas: \(content) for \(expected)"
    }
}
