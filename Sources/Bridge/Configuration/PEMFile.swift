/// A first look at the certificate and key files that a configuration names: whether the daemon could load them.
package enum PEMFile {
    package enum Kind: Sendable {
        case certificates
        case privateKey

        var allowed: String {
            switch self {
            case .certificates: "a PEM file with at least one certificate"
            case .privateKey: "a PEM file with one unencrypted private key, readable by the daemon only"
            }
        }
    }

    /// What is wrong with the file, or `nil`.
    package static func problem(_ file: String, _ kind: Kind) -> String? {
        let text: String
        do {
            text = try Files.readText(file)
        } catch {
            return "\(file): \(error)"
        }
        switch kind {
        case .certificates:
            if !text.contains("-----BEGIN CERTIFICATE-----") { return "\(file): holds no certificate" }
        case .privateKey:
            if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
                return "\(file): the key is encrypted, and nobody is there to type a passphrase"
            }
            if !text.contains("PRIVATE KEY-----") { return "\(file): holds no private key" }
            if let mode = Files.permissions(file), mode & 0o007 != 0 {
                return "\(file): everybody on this machine may read the key (mode \(String(mode, radix: 8)))"
            }
        }
        return nil
    }
}
