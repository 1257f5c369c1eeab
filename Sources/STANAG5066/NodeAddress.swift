/// The address of a STANAG 5066 node, or of a group of nodes (STANAG 5066 Ed. 3 §A.2.2.28.1, figure A-28; §C.3.2.6).
///
/// In every primitive of the subnetwork interface it is a field of four bytes:
///
/// ```
/// size   3 bits   number of significant half-bytes, 1 to 7
/// group  1 bit    1 for a group address
/// value 28 bits   right-aligned: its least significant bit is the last of the field
/// ```
///
/// This side always writes size 7. What is read compares by group flag and value, whatever its size. A group address is legal
/// only as the destination of non-ARQ data.
package struct NodeAddress: Hashable, Sendable {
    /// 28 bits, 0 to ``maximumValue``.
    package let value: UInt32
    package let isGroup: Bool

    package static let maximumValue: UInt32 = 0x0FFF_FFFF
    /// The group of all nodes, `31.255.255.255`.
    package static let broadcast = NodeAddress(bits: maximumValue, isGroup: true)

    /// - Parameter value: 0 to ``maximumValue``; nil is returned beyond.
    package init?(value: UInt32, isGroup: Bool = false) {
        guard value <= Self.maximumValue else { return nil }
        self.init(bits: value, isGroup: isGroup)
    }

    private init(bits: UInt32, isGroup: Bool) {
        value = bits
        self.isGroup = isGroup
    }

    // MARK: Field of four bytes

    /// Which half-bytes of a field with a size below 7 count. Figure A-28 says the first ones, the text (§A.2.2.1, §C.3.2.6)
    /// says the last ones, as do the nodes that we know.
    package enum Alignment: Hashable, Sendable {
        case right
        case left
    }

    /// Reads the field. Every value of it is an address: a size of 0 is taken for 7.
    package init(field: UInt32, alignment: Alignment = .right) {
        let bits = field & Self.maximumValue
        let group = field & Self.groupFlag != 0
        let size = field >> 29
        switch alignment {
        case .left where (1..<7).contains(size): self.init(bits: bits >> (4 * (7 - size)), isGroup: group)
        case .left, .right: self.init(bits: bits, isGroup: group)
        }
    }

    /// The field, with size 7.
    package var field: UInt32 { 7 << 29 | (isGroup ? Self.groupFlag : 0) | value }

    private static let groupFlag: UInt32 = 1 << 28

    // MARK: Text

    /// Reads `w.x.y.z`: w is 0 to 15 and the most significant half-byte, or 16 to 31 for a group; x, y and z are 0 to 255
    /// (STANAG 5066 Ed. 3 §C.3.2.6). Nil for anything else, numbers with leading zeros among it.
    package init?(_ text: String) {
        var numbers: [UInt32] = []
        for part in text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false) {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for digit in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
                number = number * 10 + UInt32(digit - UInt8(ascii: "0"))
            }
            guard number <= (numbers.isEmpty ? 31 : 255) else { return nil }
            numbers.append(number)
        }
        guard numbers.count == 4 else { return nil }
        let bits = numbers.reduce(0) { $0 << 8 | $1 }
        self.init(bits: bits & Self.maximumValue, isGroup: bits & Self.groupFlag != 0)
    }
}

extension NodeAddress: CustomStringConvertible {
    /// `w.x.y.z`, as ``init(_:)`` reads it.
    package var description: String {
        "\(value >> 24 + (isGroup ? 16 : 0)).\(value >> 16 & 0xFF).\(value >> 8 & 0xFF).\(value & 0xFF)"
    }
}

extension NodeAddress: Comparable {
    /// By value, groups last.
    package static func < (left: NodeAddress, right: NodeAddress) -> Bool {
        left.field < right.field
    }
}
