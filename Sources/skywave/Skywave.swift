import ArgumentParser

/// The command line of the bridge.
///
/// Exit codes, the same for every command: 0 all is well; 1 something failed while running (the reason is on standard
/// error); 2 the configuration has problems; 3 a check by dialling found something missing; 64 the command line itself
/// is wrong (EX_USAGE).
@main
struct Skywave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skywave",
        abstract: "Bridges XMPP servers over links where every byte and every round trip counts.",
        discussion: """
            Exit codes: 0 all is well; 1 failed while running; 2 the configuration has problems; 3 `check --dial` found \
            something missing; 64 wrong use of the command line.
            """,
        subcommands: [
            Run.self, Check.self, Status.self, Queue.self, Reload.self, ProfileCommand.self, JournalCommand.self,
            DictionaryCommand.self, Record.self, SISCommand.self, PKI.self, Version.self,
        ])
}

extension ExitCode {
    static let configurationProblems = ExitCode(2)
    static let dialProblems = ExitCode(3)
}
