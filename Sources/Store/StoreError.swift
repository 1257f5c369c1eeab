/// Why the journal cannot be opened or written, in one plain sentence with what the operator does about it.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kind of failure, for decisions; the sentence is for people.
    package enum Code: Hashable, Sendable {
        /// The state directory or a file in it cannot be made, read or written.
        case unusable
        /// Another process has this state directory.
        case inUse
        /// The journal was written by a newer version of the program.
        case newerVersion
        /// The file is damaged; ``StoreError/description`` names the command that repairs it.
        case corrupted
        /// No space is left, or a quota is used up. Nothing of the commit was kept; later ones succeed when there is
        /// space again.
        case diskFull
        /// The disk failed to read or write. Nothing of the commit was kept; later ones may succeed.
        case inputOutput
        /// The journal is closed.
        case closed
        /// SQLite refused something that should always work.
        case `internal`
    }

    package let code: Code
    /// One sentence without a final stop: file, cause and remedy.
    package let description: String

    @inline(never)
    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
