import TLS

/// The component handshake of XEP-0114 §3.
enum Handshake {
    static func digest(streamID: String, secret: String) -> String {
        OpenSSLServerStreamSecrets(secret: []).componentHandshake(streamID: streamID, secret: secret)
    }
}
