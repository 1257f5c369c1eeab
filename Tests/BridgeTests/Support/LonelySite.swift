import Bridge
import Logging
import NIOCore
import NIOPosix
import Outbox
import Store
import TestSupport

/// A site whose peer is not there, and its server.
enum LonelySite {
    /// - Parameter rows: what its journal holds of the peer `bravo` at the start.
    static func with(
        rows: [JournalRecord] = [], _ body: (RunningSite, MiniServer, SiteConfiguration) async throws -> Void
    ) async throws {
        try await TemporaryDirectory.with { directory in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let server = try await MiniServer.start(on: group)
            let configuration = try TwoSites.configuration(
                "alpha", "bravo", server.port, directory, "journal = { mode = \"durable\" }\n", "skywave",
                "connect = \"127.0.0.1:1\"\n")
            if !rows.isEmpty { try await write(rows, in: configuration.state, on: group.next()) }
            let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let site = try await RunningSite.start(configuration, on: group.next(), logger: quiet)
            if let address = site.localAddresses.first { server.connect(to: address) }
            let result: Result<Void, any Error>
            do {
                try await body(site, server, configuration)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            await site.stop(within: .seconds(3))
            await server.stop()
            try await group.shutdownGracefully()
            try result.get()
        }
    }

    private static func write(_ rows: [JournalRecord], in state: String, on loop: any EventLoop) async throws {
        try StateDirectory(state)
        let (journal, _) = try Journal.open(directory: state)
        let batch = NamedBatch(peer: "bravo", batch: JournalBatch(number: 1, records: rows))
        _ = try await journal.commit([batch], serviceTime: 60_000, on: loop).get()
        journal.closeNow()
    }
}
