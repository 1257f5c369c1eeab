import HFNode
import NIOCore
import SeededRandom
import Testing

struct UpperUnitTests {
    @Test func `an S_PDU has the bytes of the worked examples`() {
        // Day 321 is 1 modulo 16; 12:34:56 GMT.
        let time = TimeToDie(seconds: 321 * 86400 + 45296)
        var data = SPDU.DataUnit(
            priority: 8, saps: .init(source: 6, destination: 6), wantsClientConfirmation: true, timeToDie: time,
            unit: bytes("AA BB"))
        #expect(SPDU.data(data).encoded() == bytes("08 66 C1 58 78 AA BB"))
        data.timeToDie = nil
        #expect(SPDU.data(data).encoded() == bytes("08 66 80 AA BB"))
        #expect(SPDU(decoding: bytes("08 66 80 AA BB")) == .data(data))
    }

    @Test func `a time to die is past for a day after it has come`() {
        let time = TimeToDie(seconds: 3 * 86400 + 100)
        #expect(!time.isPast(at: 3 * 86400 + 99))
        #expect(!time.isPast(at: 3 * 86400 + 102))
        #expect(time.isPast(at: 3 * 86400 + 103))
        #expect(time.isPast(at: 4 * 86400))
        #expect(!time.isPast(at: 3 * 86400 - 14 * 86400))
        // Over the turn of the cycle of 16 days.
        let late = TimeToDie(seconds: 16 * 86400 - 10)
        #expect(late.isPast(at: 16 * 86400 + 10))
        #expect(!late.isPast(at: 16 * 86400 - 20))
        #expect(TimeToDie(field: late.field) == late)
    }

    @Test(arguments: 0..<100) func `S_PDUs and C_PDUs come back as they were, and what is cut short never traps`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        func octet() -> UInt8 { UInt8.random(in: 0...255, using: &random) }
        func nibble() -> UInt8 { UInt8.random(in: 0...15, using: &random) }
        func unit() -> ByteBuffer { ByteBuffer(bytes: (0..<Int.random(in: 0...30, using: &random)).map { _ in octet() }) }
        func saps() -> SPDU.SAPPair { SPDU.SAPPair(source: octet(), destination: octet()) }
        let time = Bool.random(using: &random) ? TimeToDie(seconds: Int64.random(in: 0...5_000_000, using: &random)) : nil
        let units: [SPDU] = [
            .data(
                .init(
                    priority: nibble(), saps: saps(), wantsClientConfirmation: Bool.random(using: &random), timeToDie: time,
                    unit: unit())),
            .deliveryConfirm(saps(), unit: unit()), .deliveryFail(saps(), reason: nibble(), unit: unit()),
            .hardLinkRequest(
                linkType: octet() & 3, priority: octet() & 3, requestingSAP: nibble(), remoteSAP: nibble()),
            .hardLinkConfirm, .hardLinkRejected(reason: nibble()), .hardLinkTerminate(reason: nibble()),
            .hardLinkTerminateConfirm,
        ]
        for unit in units {
            let encoded = unit.encoded()
            #expect(SPDU(decoding: encoded) == unit)
            for length in 0..<min(6, encoded.readableBytes) {
                guard let part = encoded.getSlice(at: 0, length: length) else { continue }
                _ = SPDU(decoding: part)
            }
        }
        let links: [CPDU] = [
            .data(unit()), .linkRequest(isExclusive: Bool.random(using: &random)), .linkAccepted,
            .linkRejected(reason: nibble()), .linkBreak(reason: nibble()), .linkBreakConfirm,
        ]
        for link in links { #expect(CPDU(decoding: link.encoded()) == link) }
        #expect(CPDU(decoding: ByteBuffer()) == nil)
        for type in UInt8(6)...15 { #expect(CPDU(decoding: ByteBuffer(integer: type << 4)) == nil) }
        for type in UInt8(8)...15 { #expect(SPDU(decoding: ByteBuffer(integer: type << 4)) == nil) }
    }

    @Test func `the C_PDUs that make a link are one byte`() {
        #expect(CPDU.linkRequest(isExclusive: false).encoded() == bytes("10"))
        #expect(CPDU.linkAccepted.encoded() == bytes("20"))
        #expect(CPDU.linkRejected(reason: 3).encoded() == bytes("33"))
        #expect(CPDU.linkBreak(reason: 4).encoded() == bytes("44"))
        #expect(CPDU.linkBreakConfirm.encoded() == bytes("50"))
        #expect(CPDU.data(bytes("08 66 80")).encoded() == bytes("00 08 66 80"))
    }
}
