package import XMPP

/// The cryptography that stream negotiation needs, kept outside so that the machines stay free of it.
package protocol ServerStreamSecrets: Sendable {
    /// The dialback key that this side puts into `db:result` and recognises in `db:verify`.
    ///
    /// Made as XEP-0185 §3 recommends: HMAC-SHA256 under the lower-case hexadecimal SHA-256 of the secret, over
    /// receiving domain, originating domain and stream id with a space between them; lower-case hexadecimal.
    ///
    /// - Parameters:
    ///   - receiving: The domain that receives the stream: `to` of `db:result`, `from` of `db:verify`.
    ///   - originating: The domain that is to be proved.
    ///   - streamID: The `id` that the receiving server gave the stream.
    func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String

    /// The `<handshake/>` of an external component: lower-case hexadecimal SHA-1 of stream id and secret (XEP-0114 §3).
    func componentHandshake(streamID: String, secret: String) -> String

    /// Whether two strings have the same bytes, in a time that depends on their lengths only.
    func equalInConstantTime(_ left: String, _ right: String) -> Bool
}
