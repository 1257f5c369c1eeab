import Blocks
import NIOCore

/// Compressed nothing: spaces between stanzas, which cost no stanza limit.
enum Bomb {
    /// Raw DEFLATE that expands to about this much, at about 1 : 1000.
    static func deflatedSpaces(megabytes: Int) -> [UInt8] {
        var deflater = Deflater(level: 9)
        var output = ByteBuffer()
        let spaces = ByteBuffer(repeating: UInt8(ascii: " "), count: 1 << 20)
        for _ in 0..<megabytes { deflater.add(spaces, into: &output) }
        deflater.flush(into: &output)
        return Array(output.readableBytesView)
    }
}
