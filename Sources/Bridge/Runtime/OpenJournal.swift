package import NIOCore
package import Store

/// A journal that is open, with what was found in it.
package struct OpenJournal: Sendable {
    package var writer: any JournalWriter
    package var recovered: RecoveredSite
    /// Ends the commits under way and lets go of the file.
    package var close: @Sendable (any EventLoop) -> EventLoopFuture<Void>

    package init(
        writer: any JournalWriter, recovered: RecoveredSite,
        close: @escaping @Sendable (any EventLoop) -> EventLoopFuture<Void>
    ) {
        self.writer = writer
        self.recovered = recovered
        self.close = close
    }

    /// Opens or makes the journal in a state directory. Blocks.
    @Sendable
    package static func inFile(directory: String) throws -> OpenJournal {
        let (journal, recovered) = try Journal.open(directory: directory)
        return OpenJournal(writer: journal, recovered: recovered) { journal.close(on: $0) }
    }
}

/// Opens the journal in a state directory; blocks for as long as reading takes.
package typealias JournalOpener = @Sendable (String) throws -> OpenJournal
