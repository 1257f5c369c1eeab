/// Why a link or its listener cannot be set up, in one plain sentence.
package struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// Two peers on one listener cannot be told apart, or want different certificates there.
        case conflictingPeers
        /// Both sides of a link with blocks would dial.
        case bothDial
        /// The listening address cannot be had.
        case cannotListen
        /// The TLS settings cannot be used.
        case tls
        /// The connection came from an address that no peer has.
        case unknownSource
        /// Too many connections that have not said who they are.
        case tooManyConnections
    }

    package let code: Code
    package let description: String

    @inline(never)
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
