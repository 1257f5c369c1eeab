import Admin
import ArgumentParser
import Bridge
import NIOCore
import NIOPosix

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the state of the running bridge.",
        discussion: "Asks the daemon on the socket that [admin] names; only the daemon's own user and root may do so.")

    @OptionGroup var configuration: ConfigurationOption
    @Option(help: ArgumentHelp("The control socket, instead of the one in the configuration.", valueName: "path"))
    var socket: String?
    @Flag(help: "One JSON object instead of text.")
    var json = false

    func run() async throws {
        let path = try socket ?? configuration.load().admin.socket
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.shutdownGracefully { _ in } }
        do {
            let answer = try await AdminClient(socketPath: path, eventLoopGroup: group)
                .get(json ? "/status" : "/status.txt")
            guard answer.status == 200 else {
                Terminal.error("the bridge at \(path) answered with \(answer.status); it may still be starting")
                throw ExitCode.failure
            }
            Terminal.output(String(decoding: answer.body, as: UTF8.self).trimmed)
        } catch let error as AdminError {
            Terminal.error(error.description)
            throw ExitCode.failure
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
