/// The secret that whoever asks over TCP must know.
package struct AdminToken: Sendable {
    /// Shorter ones could be guessed; 32 characters of hex are 128 bits.
    package static let minimumLength = 32

    private let bytes: [UInt8]

    /// Reads the content of a token file: one line of visible ASCII characters; nil when it is none, or too short.
    package init?(_ text: String) {
        var line = text[...]
        while line.last?.isNewline == true { line.removeLast() }
        let bytes = Array(line.utf8)
        guard bytes.count >= Self.minimumLength, bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        self.bytes = bytes
    }

    /// Whether the value of an `Authorization` header carries the token (RFC 6750 §2.1).
    func isCarried(by header: String?) -> Bool {
        guard let header else { return false }
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        return matches(Array(parts[1].drop { $0 == " " }.utf8))
    }

    /// Takes the same time wherever the first difference is; only the length of the offer can be told from it.
    @inline(never)
    func matches(_ offered: [UInt8]) -> Bool {
        var difference = UInt8(offered.count == bytes.count ? 0 : 1)
        for (index, byte) in offered.enumerated() { difference |= byte ^ bytes[index % bytes.count] }
        return difference == 0
    }
}
