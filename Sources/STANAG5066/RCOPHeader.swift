package import NIOCore

/// The six bytes before the data of every PDU of the Reliable Connection-Oriented Protocol (STANAG 5066 Ed. 3 §F.8.1,
/// figure F-9).
///
/// ```
/// connection    4 bits   0 to 15; then 4 reserved bits, sent as 0 and not looked at when received
/// unit          8 bits   "U_PDU id" of the standard: consecutive per connection, 255 is followed by 0
/// segment      16 bits   consecutive within a unit, from 0
/// application  16 bits   which protocol the data is of; must not be used for putting units together (§F.8.3)
/// ```
///
/// Such a PDU is the whole U_PDU of one request to the node. The standard calls both this U_PDU and what was cut into
/// several of them "U_PDU"; here the latter is a *unit*. The header says neither how many segments a unit has nor which
/// is its last: see ``RCOPFraming``. Edition 1 of the standard had no application field; it is not spoken.
package struct RCOPHeader: Hashable, Sendable {
    /// 0 to 15. No handshake opens one: which are used is agreed.
    package let connection: UInt8
    package var unit: UInt8
    package var segment: UInt16
    package var application: RCOPApplication

    package static let byteCount = 6
    package static let connections: ClosedRange<UInt8> = 0...15

    /// - Parameter connection: only the low four bits are used.
    package init(connection: UInt8, unit: UInt8, segment: UInt16, application: RCOPApplication) {
        self.connection = connection & 0x0F
        self.unit = unit
        self.segment = segment
        self.application = application
    }

    /// Appends the six bytes.
    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(connection << 4, unit, segment, application.rawValue)
    }

    /// Reads the header from the front of a U_PDU and leaves its data; nil, with nothing read, when it is too short.
    package init?(reading uPDU: inout ByteBuffer) {
        guard
            let (first, unit, segment, application) = uPDU.readMultipleIntegers(
                as: (UInt8, UInt8, UInt16, UInt16).self)
        else { return nil }
        self.init(
            connection: first >> 4, unit: unit, segment: segment, application: RCOPApplication(rawValue: application))
    }
}

/// The header of the Unreliable Datagram-Oriented Protocol: the same bytes, sent to SAP 7 as non-ARQ data, to groups
/// also (STANAG 5066 Ed. 3 §F.9).
package typealias UDOPHeader = RCOPHeader
