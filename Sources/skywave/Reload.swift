import ArgumentParser

struct Reload: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has the running bridge read its configuration and profiles again.",
        discussion: """
            Profiles, queues, classes, lifetimes and holds are taken on without dropping a link or a stanza; what needs a \
            restart is named. A file with problems changes nothing. The same as SIGHUP, with an answer.
            """)

    @OptionGroup var daemon: DaemonOption

    func run() async throws { try await daemon.change("/reload") }
}
