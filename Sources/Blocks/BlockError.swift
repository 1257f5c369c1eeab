/// Why a block cannot be taken.
package enum BlockError: Error, Equatable, Sendable {
    /// The header or the body is not one.
    case malformed(String)
    /// The peer speaks another version of the link protocol.
    case unsupportedVersion(UInt8)
    /// A flag that is reserved for later is set.
    case reservedFlag
    /// The compressed text is damaged, or refers to history that this side does not have.
    case damaged
    /// A limit was exceeded.
    case tooLarge(String)
}
