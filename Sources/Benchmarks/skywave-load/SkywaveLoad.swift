import ArgumentParser
import NIOCore
import NIOPosix

/// Sends messages in at one end of something that carries XMPP between two sites, counts them at the other end.
@main
struct SkywaveLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skywave-load",
        abstract: "Sends messages through two XMPP servers or two bridges and counts what arrives.",
        subcommands: [Components.self, Servers.self])
}

struct LoadOptions: ParsableArguments {
    @Option(help: "Messages to send.")
    var messages = 100_000
    @Option(help: "Messages sent before the measured ones, to establish streams.")
    var warmUp = 1_000
    @Option(help: "Messages on their way at a time.")
    var window = 2_000
    @Option(help: "Pairs of users that talk.")
    var pairs = 64
    @Option(help: "Seed of the message bodies.")
    var seed: UInt64 = 1
    @Option(help: "Give up after so many seconds without an arrival.")
    var patience: Int64 = 20
    @Flag(help: "Print `ready` and wait for a line on standard input between warm-up and measurement.")
    var wait = false

    func validate() throws {
        guard (1...100_000_000).contains(messages), warmUp >= 1, window >= 2, (1...4_096).contains(pairs), patience > 0
        else { throw ValidationError("messages, warm-up, window, pairs (1 to 4096) and patience must be positive") }
    }
}

/// As external components of two servers: messages go component, server, s2s, server, component.
struct Components: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach to two servers as components (XEP-0114) and send from the first to the second.")

    @Option(help: "Component port of the sender's server, HOST:PORT.")
    var sender: Endpoint
    @Option(help: "The sending component's domain.")
    var senderDomain: String
    @Option(help: "Component port of the receiver's server, HOST:PORT.")
    var receiver: Endpoint
    @Option(help: "The receiving component's domain.")
    var receiverDomain: String
    @Option(help: "The secret of both components.")
    var secret: String
    @OptionGroup var options: LoadOptions

    func run() async throws {
        let senderRole = EndRole.component(domain: senderDomain, secret: secret)
        let receiverRole = EndRole.component(domain: receiverDomain, secret: secret)
        try await LoadRunner(senderDomain: senderDomain, receiverDomain: receiverDomain, options: options).run {
            try await $0.connect(to: receiver, role: receiverRole, isSender: false)
            try await $0.connect(to: sender, role: senderRole, isSender: true)
        }
    }
}

/// As the two sites' servers themselves: messages go s2s, bridge, link, bridge, s2s.
struct Servers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Play the XMPP servers beside two bridges (s2s with dialback, in the clear); send from the first to the second."
    )

    @Option(help: "Where the sending server listens for its bridge, HOST:PORT.")
    var senderListen: Endpoint
    @Option(help: "The sending site's domain.")
    var senderDomain: String
    @Option(help: "Where the sending site's bridge listens for its server, HOST:PORT.")
    var senderBridge: Endpoint
    @Option(help: "Where the receiving server listens for its bridge, HOST:PORT.")
    var receiverListen: Endpoint
    @Option(help: "The receiving site's domain.")
    var receiverDomain: String
    @OptionGroup var options: LoadOptions

    func run() async throws {
        try await LoadRunner(senderDomain: senderDomain, receiverDomain: receiverDomain, options: options).run {
            try await $0.listen(at: receiverListen, domain: receiverDomain, isSender: false)
            try await $0.listen(at: senderListen, domain: senderDomain, isSender: true)
            try await $0.connect(
                to: senderBridge, role: .dialling(domain: senderDomain, remote: receiverDomain), isSender: true)
        }
    }
}

/// HOST:PORT as an option's value.
struct Endpoint: ExpressibleByArgument, Sendable {
    var host: String
    var port: Int

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = Int(argument[argument.index(after: colon)...]),
            (1...65_535).contains(port), colon != argument.startIndex
        else { return nil }
        host = String(argument[..<colon])
        self.port = port
    }
}
