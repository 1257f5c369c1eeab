package import NIOCore

/// What became of a unit that was to be sent.
package enum RCOPAdmission: Equatable, Sendable {
    case accepted
    /// Too much waits or is under way; the unit was not taken.
    case full
    /// No such connection.
    case unknownConnection
}

/// Why a unit was given up. It may have arrived.
package enum RCOPUnitFailure: Equatable, Sendable {
    /// The node rejected a U_PDU of it, for the last time.
    case rejected(UnidataRejectedReason)
    /// What became of a U_PDU of it is not known, for the last time.
    case lost
    /// It does not fit into 65 536 segments of the MTU that the node announced, or into the length field.
    case tooLarge
}

/// What an ``RCOPSender`` tells. Each unit that was accepted ends with exactly one of these.
package enum RCOPSenderEvent: Equatable, Sendable {
    /// All its U_PDUs are confirmed.
    case finished(UInt64)
    case failed(UInt64, RCOPUnitFailure)
}

/// One U_PDU for the node.
package struct RCOPUPDU: Equatable, Sendable {
    /// Names this one handing-over: outcomes are reported with it.
    package var ticket: UInt64
    /// The owner's name for the unit that it is of.
    package var unit: UInt64
    package var connection: UInt8
    package var priority: UInt8
    /// With the header; at most the MTU.
    package var bytes: ByteBuffer
}
