import ArgumentParser
import Bridge
import Store

/// `skywave journal …`: for the operator who finds the journal damaged.
struct JournalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Looks after the journal, in which everything waits that is not delivered yet.",
        discussion: "The bridge must not be running meanwhile.",
        subcommands: [Check.self, Repair.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads the whole journal and says what it holds or what is damaged; changes nothing.",
            discussion: "Exits 0 when it is intact and 1 when not.")

        @OptionGroup var configuration: ConfigurationOption

        func run() throws {
            let report = try stored {
                try JournalCheck.run(directory: try configuration.load().state)
            }
            for line in report.lines { Terminal.output(line) }
            if report.isDamaged { throw ExitCode.failure }
        }
    }

    struct Repair: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a new journal out of what is readable of a damaged one.",
            discussion: """
                What was saved and what was lost is printed. The damaged file is kept beside the new one. An intact \
                journal is left as it is.
                """)

        @OptionGroup var configuration: ConfigurationOption

        func run() throws {
            let report = try stored {
                try JournalRepair.repair(directory: try configuration.load().state)
            }
            for line in report.lines { Terminal.output(line) }
        }
    }
}

/// Does something with the journal; a failure goes to standard error as the sentence that it is.
private func stored<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as StoreError {
        Terminal.error(error.description)
        throw ExitCode.failure
    }
}
