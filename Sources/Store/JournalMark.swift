import XMPP

/// What the file beside the journal says: how far the journal is at least.
///
/// It is written after every commit, without waiting for the disk, and only ever after the commit itself was durable.
/// So a journal that is behind its mark is an older copy. One line of text in one sector.
struct JournalMark: Equatable, Sendable {
    /// The journal that it belongs to, 32 hexadecimal digits.
    var journal: String
    /// Number of the last commit.
    var commits: UInt64
    /// Number of a commit that has reached the database file proper, past the write-ahead log.
    var checkpointed: UInt64

    /// Bytes of the line, always the same.
    static let byteCount = 16 + 33 + 21 + 21 + 17

    var bytes: [UInt8] {
        let text = "skywave-journal " + journal + " " + Self.decimal(commits) + " " + Self.decimal(checkpointed) + " "
        return Array(text.utf8) + Array((Self.check(text) + "\n").utf8)
    }

    init(journal: String, commits: UInt64, checkpointed: UInt64) {
        self.journal = journal
        self.commits = commits
        self.checkpointed = checkpointed
    }

    /// `nil` for anything but an intact line.
    init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, let line = String(validating: bytes, as: UTF8.self) else { return nil }
        let words = line.dropLast().split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 5, words[0] == "skywave-journal", words[1].utf8.count == 32, line.hasSuffix("\n"),
            let commits = UInt64(words[2]), let checkpointed = UInt64(words[3])
        else { return nil }
        self.init(journal: String(words[1]), commits: commits, checkpointed: checkpointed)
        guard self.bytes == bytes else { return nil }
    }

    private static func decimal(_ value: UInt64) -> String {
        let digits = String(value)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits
    }

    private static func check(_ text: String) -> String {
        let digits = String(StableHash.of(text), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
