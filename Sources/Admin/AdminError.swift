/// Why the control endpoint cannot be offered or reached, with what the operator does about it.
package struct AdminError: Error, CustomStringConvertible {
    /// The kinds of failure; comparable, where the error itself is not.
    package enum Code: Hashable, Sendable {
        /// The path does not fit a socket address, or its directory is missing or not writable.
        case unusablePath
        /// Something that is no socket lies at the path; it is not removed.
        case notASocket
        /// Another process answers on the socket.
        case inUse
        /// An address that others can reach needs a token.
        case tokenMissing
        /// The TCP address cannot be had.
        case cannotListen
        /// Nobody answers on the socket.
        case notRunning
        /// The answer was not understood, too long, or did not come in time.
        case badAnswer
    }

    package let code: Code
    package let path: String
    /// One sentence: cause and remedy.
    package let description: String

    @inline(never)
    package init(_ code: Code, path: String, _ reason: String) {
        self.code = code
        self.path = path
        description = "control socket \(path): \(reason)"
    }

    @inline(never)
    init(_ code: Code, address: String, _ reason: String) {
        self.code = code
        path = address
        description = "admin address \(address): \(reason)"
    }
}
