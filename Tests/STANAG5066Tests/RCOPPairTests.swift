import NIOCore
import STANAG5066
import TestSupport
import Testing

/// Sender and receiver with a node pair between them that loses, doubles and delays, and with restarts of both.
@Suite struct RCOPPairTests {
    @Test(arguments: 0..<150 as Range<UInt64>)
    func `in dialect skywave no unit is lost and none comes twice, over every fault`(seed: UInt64) {
        var pair = RCOPPair(dialect: .skywave, seed: seed)
        #expect(pair.run() == nil, "seed \(seed)")
    }

    @Test(arguments: 0..<150 as Range<UInt64>)
    func `in dialect xep no unit is lost, and none is put together of two`(seed: UInt64) {
        var pair = RCOPPair(dialect: .xep, seed: seed)
        #expect(pair.run() == nil, "seed \(seed)")
    }

    @Test func `random units, MTUs and numbers come through whole in order`() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            let isDelimited = Bool.random(using: &random)
            var configuration = RCOPSenderConfiguration.skywave(connections: [.init(number: 4, priority: 0)])
            if !isDelimited { configuration.framing = .stanzas }
            var sender = RCOPSender(configuration, firstNumber: UInt8.random(in: 0...255, using: &random))
            let mtu = Int.random(in: 16...300, using: &random)
            sender.bound(mtu: mtu)
            var units: [ByteBuffer] = []
            for token in 0..<Int.random(in: 1...20, using: &random) {
                let count = Int.random(in: 0...Int.random(in: 1...900, using: &random), using: &random)
                var unit = ByteBuffer()
                if isDelimited {
                    for _ in 0..<count { unit.writeInteger(UInt8.random(in: 0...255, using: &random)) }
                } else {
                    unit.writeString("<a x='\(token)'>" + String(repeating: "é<b/>", count: count / 7) + "</a>")
                }
                units.append(unit)
                #expect(sender.unitOffered(unit, token: UInt64(token), connection: 4) == .accepted)
            }
            var receiver = RCOPReceiver(
                RCOPReceiverConfiguration(framing: configuration.framing, application: configuration.application))
            let drawn = sender.drawAll()
            #expect(drawn.allSatisfy { $0.bytes.readableBytes <= mtu })
            let arrived = receiver.units(of: drawn.map(\.bytes))
            #expect(arrived.map(\.bytes) == units)
            #expect(arrived.allSatisfy { !$0.followsGap && !$0.isRepeat })
            for uPDU in drawn { sender.uPDUConfirmed(uPDU.ticket) }
            #expect(sender.drawEvents() == units.indices.map { .finished(UInt64($0)) })
        }
    }
}
