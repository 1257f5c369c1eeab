/// Why bytes are no primitive of the subnetwork interface service (SIS).
package enum SISError: Error, Equatable, Sendable {
    // MARK: The stream is beyond repair: nothing says where the next primitive begins

    /// The first byte is not 90, or the second not EB.
    case badPreamble(UInt8)
    case unsupportedVersion(UInt8)
    /// Size_of_Primitive is 0, or less than primitives of the type have.
    case tooShort(type: UInt8?, size: UInt16)

    // MARK: Only this primitive is lost: its size says where the next begins

    /// The U_PDU, or the part of it, is said to be longer than the primitive.
    case dataBeyondEnd(type: UInt8)
    /// The list of errored or missing blocks is said to be longer than the primitive.
    case blocksBeyondEnd(type: UInt8)
    /// 0, or more than 27.
    case unknownType(UInt8)
    /// A primitive that only the other side may send.
    case wrongDirection(type: UInt8)

    /// True when the connection has to be closed.
    package var isFatal: Bool {
        switch self {
        case .badPreamble, .unsupportedVersion, .tooShort: true
        case .dataBeyondEnd, .blocksBeyondEnd, .unknownType, .wrongDirection: false
        }
    }
}

extension SISError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .badPreamble(let byte): "byte \(byte) where a primitive should begin: this is no SIS stream"
        case .unsupportedVersion(let version): "version \(version) of the SIS, where only 0 is known"
        case .tooShort(let type, let size):
            type.map { "a primitive of type \($0) with a size of \(size)" } ?? "a primitive with a size of \(size)"
        case .dataBeyondEnd(let type): "data beyond the end of a primitive of type \(type)"
        case .blocksBeyondEnd(let type): "a list of blocks beyond the end of a primitive of type \(type)"
        case .unknownType(let type): "a primitive of unknown type \(type)"
        case .wrongDirection(let type): "a primitive of type \(type), which only the other side may send"
        }
    }
}
