package import Blocks
import NIOCore
import TLS

/// Preset dictionaries as files: any bytes that both ends have.
package enum DictionaryFile {
    /// DEFLATE looks back no further (RFC 1951).
    package static let maximumBytes = 32_768

    /// The dictionary in a file, named by its SHA-256.
    package static func read(_ path: String) throws(Files.Failure) -> BlockDictionary {
        let bytes = try Files.read(path, limit: maximumBytes)
        let id = Digest.sha256(bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        return BlockDictionary(id: id, text: ByteBuffer(bytes: bytes))
    }

    /// What is wrong with a file as a dictionary, or `nil`.
    static func problem(_ path: String) -> String? {
        do throws(Files.Failure) {
            return try Files.read(path, limit: maximumBytes).isEmpty ? "the file is empty" : nil
        } catch {
            return "cannot be read: \(error)"
        }
    }
}
