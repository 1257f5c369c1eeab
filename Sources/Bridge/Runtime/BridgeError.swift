/// Why the daemon cannot start or go on, in one plain sentence.
package struct BridgeError: Error, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// A file of the state directory.
        case state
        /// The local listener.
        case listen
        /// Certificates and keys.
        case tls
        /// A peer's link.
        case link
    }

    package let code: Code
    package let description: String

    @inline(never)
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
