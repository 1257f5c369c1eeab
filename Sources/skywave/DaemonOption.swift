import Admin
import ArgumentParser
import Bridge
import NIOCore
import NIOPosix
import Store

/// `--config FILE` and `--socket PATH`: which running bridge is asked.
struct DaemonOption: ParsableArguments {
    @OptionGroup var configuration: ConfigurationOption
    @Option(help: ArgumentHelp("The control socket, instead of the one in the configuration.", valueName: "path"))
    var socket: String?

    /// Calls `body` with a client of the daemon; what it throws about the endpoint becomes a line on standard error.
    func ask(_ body: (AdminClient, String) async throws -> Void) async throws {
        let path = try socket ?? configuration.load().admin.socket
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { group.shutdownGracefully { _ in } }
        do {
            try await body(AdminClient(socketPath: path, eventLoopGroup: group), path)
        } catch let error as AdminError {
            Terminal.error(error.description)
            throw ExitCode.failure
        }
    }

    /// Prints what the daemon answers; while nobody answers, what `stored` finds in the journal of the site.
    ///
    /// - Parameter stored: nil when there is no such thing.
    func show(_ target: String, stored: (SiteConfiguration) throws -> String?) async throws {
        try await ask { client, path in
            let answer: AdminClient.Answer
            do {
                answer = try await client.get(target)
            } catch let error as AdminError where error.code == .notRunning && socket == nil {
                return try showStored(stored)
            }
            try Self.print(answer, path)
        }
    }

    func change(_ target: String) async throws {
        try await ask { client, path in try Self.print(await client.post(target), path) }
    }

    private func showStored(_ stored: (SiteConfiguration) throws -> String?) throws {
        let site = try configuration.load()
        do {
            guard let text = try stored(site) else {
                Terminal.error("no such peer, or no such stanza in the journal of the stopped bridge")
                throw ExitCode.failure
            }
            Terminal.output(text.trimmed)
        } catch let error as StoreError {
            Terminal.error("nobody answers at \(site.admin.socket), and the journal cannot be read: \(error.description)")
            throw ExitCode.failure
        }
    }

    static func print(_ answer: AdminClient.Answer, _ path: String) throws {
        let text = String(decoding: answer.body, as: UTF8.self).trimmed
        guard answer.status == 200 else {
            Terminal.error(text.isEmpty ? "the bridge at \(path) answered with \(answer.status); see its log" : text)
            throw ExitCode.failure
        }
        Terminal.output(text)
    }
}

extension String {
    /// Without line ends at the end.
    var trimmed: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
