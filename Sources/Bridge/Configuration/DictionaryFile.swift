package import Blocks
package import NIOCore
import TLS

/// Preset dictionaries as files: any bytes that both ends have.
package enum DictionaryFile {
    /// DEFLATE looks back no further (RFC 1951).
    package static let maximumBytes = 32_768

    /// The dictionary in a file, named by its SHA-256. A file with such a name must have the content that it names.
    package static func read(_ path: String) throws(Files.Failure) -> BlockDictionary {
        let bytes = try Files.read(path, limit: maximumBytes)
        let id = id(of: bytes)
        let file = path.split(separator: "/").last ?? ""
        if let named = idNamed(by: file), named != id {
            throw Files.Failure("Its content is not what its name says (that would be \(name(of: id)))")
        }
        return BlockDictionary(id: id, text: ByteBuffer(bytes: bytes))
    }

    /// Writes a dictionary into a directory, under the name that its content gives it; one that is there already stays.
    ///
    /// - Returns: its path.
    package static func write(_ dictionary: ByteBuffer, to directory: String) throws(Files.Failure) -> String {
        let bytes = Array(dictionary.readableBytesView)
        try Files.makeDirectory(directory, isPrivate: false)
        let path = "\(directory)/\(name(of: id(of: bytes)))"
        // It holds no secret, and the daemon may run as somebody else.
        _ = try Files.create(path, bytes, isPrivate: false)
        return path
    }

    private static func id(of bytes: [UInt8]) -> UInt64 {
        Digest.sha256(bytes).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Sixteen hexadecimal digits and `.dictionary`.
    package static func name(of id: UInt64) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + ".dictionary"
    }

    /// What a file's name says of its content; nil where it says nothing.
    private static func idNamed(by file: Substring) -> UInt64? {
        guard file.hasSuffix(".dictionary") else { return nil }
        let digits = file.dropLast(".dictionary".count)
        return digits.count == 16 ? UInt64(digits, radix: 16) : nil
    }

    /// What is wrong with a file as a dictionary, or `nil`.
    static func problem(_ path: String) -> String? {
        do throws(Files.Failure) {
            return try read(path).text.readableBytes == 0 ? "the file is empty" : nil
        } catch {
            return "cannot be read: \(error)"
        }
    }
}
