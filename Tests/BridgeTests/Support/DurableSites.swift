import Bridge
import Logging
import NIOCore
import NIOPosix
import Store
import Synchronization
import TestSupport

/// Two sites with journals whose bridges can be ended and started again while their servers go on.
final class DurableSites {
    enum Side: String, CaseIterable {
        case alpha, bravo

        var other: Side { self == .alpha ? .bravo : .alpha }
    }

    let alpha: MiniServer
    let bravo: MiniServer
    let journals = (alpha: FaultyJournal(), bravo: FaultyJournal())
    private let directory: String
    private let dialect: String
    private let group: MultiThreadedEventLoopGroup
    private var running: [Side: RunningSite] = [:]
    private var linkPort = 0
    private var localPorts: [Side: Int] = [:]
    private let logger = Logger(label: "test") { StderrLogHandler(label: $0, level: .critical, format: .text) }

    private init(
        _ alpha: MiniServer, _ bravo: MiniServer, _ directory: String, _ dialect: String,
        _ group: MultiThreadedEventLoopGroup
    ) {
        self.alpha = alpha
        self.bravo = bravo
        self.directory = directory
        self.dialect = dialect
        self.group = group
    }

    /// - Parameter dialect: of the link.
    static func with(dialect: String, _ body: (DurableSites) async throws -> Void) async throws {
        try await TemporaryDirectory.with { directory in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let sites = DurableSites(
                try await MiniServer.start(on: group), try await MiniServer.start(on: group), directory, dialect, group)
            let result: Result<Void, any Error>
            do {
                try await sites.start(.bravo)
                try await sites.start(.alpha)
                try await body(sites)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            for side in Side.allCases { await sites.stop(side) }
            await sites.alpha.stop()
            await sites.bravo.stop()
            try await group.shutdownGracefully()
            try result.get()
        }
    }

    private func server(_ side: Side) -> MiniServer { side == .alpha ? alpha : bravo }
    func journal(_ side: Side) -> FaultyJournal { side == .alpha ? journals.alpha : journals.bravo }

    /// - Parameter isServerThere: false to look for the server where none is.
    func start(_ side: Side, isServerThere: Bool = true) async throws {
        // Chosen once: the other side, and the servers, must find them again after a restart.
        if linkPort == 0 { linkPort = try await TestPorts.free(on: group) }
        if localPorts[side] == nil { localPorts[side] = try await TestPorts.free(on: group) }
        let transport =
            side == .alpha ? "connect = \"127.0.0.1:\(linkPort)\"" : "listen = \"127.0.0.1:\(linkPort)\""
        let configuration = try TwoSites.configuration(
            side.rawValue, side.other.rawValue, isServerThere ? server(side).port : 9, directory, "", dialect,
            transport, localPort: localPorts[side] ?? 0)
        let journal = journal(side)
        // A program that another test starts holds a copy of every listener for a moment (see `ChildProcess`), and so the port.
        var bridge: RunningSite?
        try await eventually("the ports are free") {
            do {
                bridge = try await RunningSite.start(
                    configuration, openJournal: { try journal.open($0) }, on: group.next(), logger: logger)
                return true
            } catch let error as BridgeError where error.code == .listen || error.code == .link {
                return false
            }
        }
        guard let bridge else { return }
        running[side] = bridge
        guard let address = bridge.localAddresses.first else { return }
        server(side).connect(to: address)
    }

    func stop(_ side: Side) async {
        guard let bridge = running.removeValue(forKey: side) else { return }
        await bridge.stop(within: .seconds(3))
    }

    func status(_ side: Side) async throws -> SiteStatus? {
        try await running[side]?.status()
    }

    func peer(_ side: Side) async throws -> SiteStatus.Peer? {
        try await status(side)?.peers.first
    }
}

/// A journal whose disk fills, or that is cut off as by a crash, when the test says so.
final class FaultyJournal: Sendable {
    enum Mode {
        case good
        /// Nothing can be written.
        case full
        /// Writing never ends, as before a crash.
        case silent
    }

    private let mode = Mutex(Mode.good)

    func set(_ new: Mode) { mode.withLock { $0 = new } }

    func open(_ directory: String) throws -> OpenJournal {
        let (journal, recovered) = try Journal.open(directory: directory)
        return OpenJournal(writer: Writer(journal: journal, faults: self), recovered: recovered) {
            journal.close(on: $0)
        }
    }

    private struct Writer: JournalWriter {
        let journal: Journal
        let faults: FaultyJournal

        func commit(
            _ batches: [NamedBatch], serviceTime: UInt64, on eventLoop: any EventLoop
        ) -> EventLoopFuture<CommitOutcome> {
            switch faults.mode.withLock({ $0 }) {
            case .good: journal.commit(batches, serviceTime: serviceTime, on: eventLoop)
            case .full: eventLoop.makeFailedFuture(StoreError(.diskFull, "no space is left"))
            case .silent: eventLoop.makeFailedFuture(StoreError(.closed, "gone"))
            }
        }
    }
}
