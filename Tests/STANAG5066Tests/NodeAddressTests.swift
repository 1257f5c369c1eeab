import STANAG5066
import TestSupport
import Testing

struct NodeAddressTests {
    @Test(
        arguments: [
            ("10.1.2.3", 0xEA01_0203), ("10.9.8.7", 0xEA09_0807), ("0.0.0.5", 0xE000_0005), ("0.0.0.0", 0xE000_0000),
            ("15.255.255.255", 0xEFFF_FFFF), ("16.0.0.1", 0xF000_0001), ("31.255.255.255", 0xFFFF_FFFF),
        ] as [(String, UInt32)])
    func `Text and field of four bytes are the same address`(text: String, field: UInt32) throws {
        let address = try #require(NodeAddress(text))
        #expect(address.field == field)
        #expect(NodeAddress(field: field) == address)
        #expect(address.description == text)
        #expect(address.isGroup == (field & 1 << 28 != 0))
    }

    @Test func `Every size of the same value is the same address, and the group flag tells apart`() throws {
        let address = try #require(NodeAddress(value: 0x102))
        for size in 0...7 as ClosedRange<UInt32> {
            #expect(NodeAddress(field: size << 29 | 0x102) == address)
            #expect(NodeAddress(field: size << 29 | 1 << 28 | 0x102) != address)
        }
    }

    @Test func `Read from the left, only the first half-bytes count`() throws {
        // 0.0.1.2 in four half-bytes, as one reading of figure A-28 has it.
        #expect(NodeAddress(field: 0x8010_2000, alignment: .left) == NodeAddress("0.0.1.2"))
        #expect(NodeAddress(field: 0x2500_0000, alignment: .left) == NodeAddress("0.0.0.5"))
        #expect(NodeAddress(field: 0x3500_0000, alignment: .left) == NodeAddress("16.0.0.5"))
        for text in ["10.1.2.3", "16.0.0.1", "31.255.255.255"] {
            let address = try #require(NodeAddress(text))
            #expect(NodeAddress(field: address.field, alignment: .left) == address)
        }
        #expect(NodeAddress(field: 0x0A01_0203, alignment: .left) == NodeAddress("10.1.2.3"))
    }

    @Test(arguments: [
        "", "10", "10.1.2", "10.1.2.3.4", "10.1.2.", ".1.2.3", "10..2.3", "32.0.0.0", "10.256.0.0", "10.1.2.1000", "10.1.2.03",
        "+1.1.2.3",
        "-1.1.2.3", " 10.1.2.3", "10.1.2.3 ", "a.1.2.3", "10.1.2.٣", "10,1,2,3", "4294967296.0.0.0",
    ])
    func `Other text is no address`(text: String) {
        #expect(NodeAddress(text) == nil)
    }

    @Test func `A value has 28 bits`() {
        #expect(NodeAddress(value: 0x0FFF_FFFF)?.description == "15.255.255.255")
        #expect(NodeAddress(value: 0x1000_0000) == nil)
        #expect(NodeAddress(value: 0x0FFF_FFFF, isGroup: true) == .broadcast)
    }

    @Test func `Any address comes back from its text and from its field`() {
        var random = SeededGenerator(seed: 5066)
        for _ in 0..<2000 {
            let field = UInt32.random(in: .min ... .max, using: &random)
            let address = NodeAddress(field: field)
            #expect(NodeAddress(address.description) == address)
            #expect(NodeAddress(field: address.field) == address)
            #expect(address.field & 0x1FFF_FFFF == field & 0x1FFF_FFFF)
        }
    }

    @Test func `Addresses are in the order of their values, groups last`() throws {
        let texts = ["0.0.0.0", "0.0.0.255", "10.1.2.3", "15.255.255.255", "16.0.0.0", "31.255.255.255"]
        let addresses = try texts.map { try #require(NodeAddress($0)) }
        #expect(addresses.reversed().sorted() == addresses)
    }
}
