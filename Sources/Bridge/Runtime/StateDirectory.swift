import TLS

/// What must survive a restart, in files that only the daemon's user can read.
package struct StateDirectory {
    let path: String

    /// Makes the directory where it is missing.
    @discardableResult
    package init(_ path: String) throws(BridgeError) {
        self.path = path
        do throws(Files.Failure) {
            try Files.makeDirectory(path, isPrivate: true)
        } catch {
            throw BridgeError(.state, "the state directory \(path) cannot be made: \(error)")
        }
    }

    /// The secret of the dialback keys (XEP-0185 §3): 256 random bits, made at the first start and then kept, so that a
    /// key given out before a restart is still recognised after it.
    func dialbackSecret() throws(BridgeError) -> [UInt8] {
        let file = "\(path)/dialback.secret"
        do throws(Files.Failure) {
            if Files.kind(file) == nil {
                _ = try Files.createPrivate(file, Array((SecureRandom.hex(bytes: 32) + "\n").utf8))
            }
            if let mode = Files.permissions(file), mode & 0o077 != 0 {
                throw Files.Failure("others may read it (mode \(String(mode, radix: 8))); make it 600, or remove it")
            }
            let text = try Files.readText(file, limit: 4_096)
            let digits = text.prefix { $0.isHexDigit }
            guard digits.count == 64, text.dropFirst(64).allSatisfy(\.isWhitespace) else {
                throw Files.Failure("not 64 hexadecimal digits; remove it, and a new one is made")
            }
            return Array(digits.utf8)
        } catch {
            throw BridgeError(.state, "the dialback secret \(file): \(error)")
        }
    }
}
