/// The 12 bits of every D_PDU header that carry management between two nodes (STANAG 5066 Ed. 3 §C.3.2.2, §C.5).
package struct EngineeringOrderwire: Hashable, Sendable {
    /// Four bits (Table C-4): 0 nothing, 1 data rate change request, 2 its response, 3 unrecognised type, 4
    /// capabilities, 7 high data rate change request, 8 to 15 for own use.
    package let type: UInt8
    package let data: UInt8

    /// Nothing to say.
    package static let none = EngineeringOrderwire(type: 0, data: 0)

    /// - Parameter type: its low four bits are taken.
    package init(type: UInt8, data: UInt8) {
        self.type = type & 0x0F
        self.data = data
    }
}
