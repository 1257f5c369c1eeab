/// What went wrong with a certificate file, a context or a TLS connection, in one plain sentence.
package struct TLSError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure, for decisions; the sentence is for people.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String

        private init(_ description: String) { self.description = description }

        /// A setting that cannot be met: no such cipher, an empty list of fingerprints, …
        package static let configuration = Code("configuration")
        /// A file that cannot be read.
        package static let fileUnreadable = Code("file-unreadable")
        /// A file that is not what it should be: no PEM, no certificate in it, a protected key.
        package static let fileMalformed = Code("file-malformed")
        /// Certificate and key do not belong together.
        package static let keyMismatch = Code("key-mismatch")
        /// The own certificate is expired or not valid yet.
        package static let certificateExpired = Code("certificate-expired")
        /// A file that cannot be written.
        package static let fileUnwritable = Code("file-unwritable")
        /// The peer's certificate was refused, or it showed none where one is required.
        package static let peerCertificateRefused = Code("peer-certificate-refused")
        /// The peer refused the own certificate, or asked for one that is not there.
        package static let ownCertificateRefused = Code("own-certificate-refused")
        /// What arrived is not TLS.
        package static let notTLS = Code("not-tls")
        /// The two sides have no version, cipher or key exchange in common.
        package static let nothingInCommon = Code("nothing-in-common")
        /// Any other failure of the handshake, or a broken record after it.
        package static let protocolFailure = Code("protocol-failure")
        /// The connection ended without the close_notify that would prove that nothing is missing.
        package static let truncated = Code("truncated")
        /// More was written before the handshake was done than is kept.
        package static let bufferFull = Code("buffer-full")
        /// A write after the connection was closed.
        package static let closed = Code("closed")
        /// OpenSSL refused something that should always work, such as memory.
        package static let `internal` = Code("internal")
    }

    package let code: Code
    /// One sentence without secrets and without a final stop.
    package let message: String

    @inline(never)
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { self.message }
}
