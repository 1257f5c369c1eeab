import COpenSSL
import ServerStreams
package import XMPP

/// ``ServerStreamSecrets`` by OpenSSL.
package struct OpenSSLServerStreamSecrets: ServerStreamSecrets {
    /// Lower-case hexadecimal SHA-256 of the secret: the key under which dialback keys are made (XEP-0185 §3).
    private let dialbackSecret: [UInt8]

    /// - Parameter secret: What nobody else may know; XEP-0185 asks for at least 128 bits, ``random()`` takes 256.
    package init(secret: [UInt8]) {
        self.dialbackSecret = Array(Hexadecimal.lowercase(Digest.sha256(secret)).utf8)
    }

    /// With a fresh secret of 256 bits. Keys are checked by the process that made them, so no secret needs to be kept.
    package static func random() -> OpenSSLServerStreamSecrets {
        OpenSSLServerStreamSecrets(secret: SecureRandom.bytes(32))
    }

    package func dialbackKey(receiving: Domain, originating: Domain, streamID: String) -> String {
        // Domains contain no spaces (``Domain`` refuses them), so the three fields cannot run into each other.
        let message = "\(receiving.string) \(originating.string) \(streamID)"
        return Hexadecimal.lowercase(Digest.hmacSHA256(key: self.dialbackSecret, message: Array(message.utf8)))
    }

    package func componentHandshake(streamID: String, secret: String) -> String {
        Hexadecimal.lowercase(Digest.sha1(Array((streamID + secret).utf8)))
    }

    package func equalInConstantTime(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return unsafe CRYPTO_memcmp(left, right, left.count) == 0
    }
}

/// One-shot digests.
package enum Digest {
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        guard unsafe EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1 else {
            fatalError("SHA-256 is not available in this OpenSSL")
        }
        return digest
    }

    static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 20)
        guard unsafe EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha1(), nil) == 1 else {
            fatalError("SHA-1 is not available in this OpenSSL")
        }
        return digest
    }

    static func hmacSHA256(key: [UInt8], message: [UInt8]) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        guard unsafe HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &code, nil) != nil else {
            fatalError("HMAC-SHA256 is not available in this OpenSSL")
        }
        return code
    }
}
