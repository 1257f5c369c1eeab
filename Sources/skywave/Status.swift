import Admin
import ArgumentParser
import Bridge
import Glibc
import NIOCore
import UnixSignals

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the state of the running bridge.",
        discussion: "Asks the daemon on the socket that [admin] names; only the daemon's own user and root may do so.")

    @OptionGroup var daemon: DaemonOption
    @Flag(help: "One JSON object instead of text; with --watch one per line.")
    var json = false
    @Option(help: ArgumentHelp("Shows it again every so many seconds, until SIGINT.", valueName: "seconds"))
    var watch: Int?

    func validate() throws {
        if let watch, !(1...86_400).contains(watch) { throw ValidationError("--watch is 1 to 86400") }
    }

    func run() async throws {
        let target = json ? "/status" : "/status.txt"
        try await daemon.ask { client, path in
            guard let watch else { return try DaemonOption.print(await client.get(target), path) }
            try await show(client, target, every: watch)
        }
    }

    /// A bridge that does not answer is shown as that, and asked again: it may be restarting.
    private func show(_ client: AdminClient, _ target: String, every seconds: Int) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { for await _ in signals { return } }
            tasks.addTask {
                while !Task.isCancelled {
                    let text: String
                    do {
                        text = String(decoding: try await client.get(target).body, as: UTF8.self).trimmed
                    } catch {
                        text = json ? JSONText.object([("error", .string("\(error)"))]).text : "\(error)"
                    }
                    guard !Task.isCancelled else { return }
                    Terminal.redraw(text, clears: !json)
                    try? await Task.sleep(for: .seconds(seconds))
                }
            }
            await tasks.next()
            tasks.cancelAll()
        }
    }
}
