import ConfigurationText
package import Logging
package import NIOCore
import NIOPosix
import Outbox
import Store
import TLS
import Transports

/// A site that is up: what the service, the checks and the tests hold. Everything behind it lives on one event loop.
package struct RunningSite: Sendable {
    private let runtime: NIOLoopBound<SiteRuntime>
    private let eventLoop: any EventLoop
    /// Where the local listeners are, in the order of the configuration.
    package let localAddresses: [SocketAddress]
    /// Where the link listeners are, in the order of the peers that brought them in.
    package let linkAddresses: [SocketAddress]

    /// Builds and starts everything.
    ///
    /// - Parameters:
    ///   - withLinks: false to leave the peers out: nothing is sent to them and no link is opened.
    ///   - openJournal: opens the journal in the state directory; called when the configuration wants one.
    /// - Throws: ``BridgeError`` with the first thing that stands in the way.
    package static func start(
        _ configuration: SiteConfiguration, withLinks: Bool = true,
        openJournal: @escaping JournalOpener = OpenJournal.inFile, on eventLoop: any EventLoop, logger: Logger
    ) async throws -> RunningSite {
        let state = try StateDirectory(configuration.state)
        let secret = try state.dialbackSecret()
        let tls: LocalTLS?
        do throws(TLSError) {
            tls = try LocalTLS(configuration)
        } catch {
            throw BridgeError(.tls, error.message)
        }
        warnOfExpiry(tls, logger)
        let server = try? SocketAddress.makeAddressResolvingHost(
            configuration.server.host, port: configuration.server.port)
        let dictionaries = try PeerLinks.dictionaries(configuration)
        let journal = withLinks ? try await self.journal(configuration, openJournal, logger) : nil
        let runtime = try await eventLoop.submit {
            let runtime = SiteRuntime(
                configuration, withLinks: withLinks, secrets: OpenSSLServerStreamSecrets(secret: secret), tls: tls,
                serverAddress: server, journal: journal, dictionaries: dictionaries, eventLoop: eventLoop, logger: logger)
            guard withLinks else { return NIOLoopBound(runtime, eventLoop: eventLoop) }
            let links = try PeerLinks.make(configuration, eventLoop: eventLoop, logger: logger)
            runtime.linkListeners = links.listeners
            runtime.peers = zip(configuration.peers, links.transports).enumerated().map {
                PeerRuntime($0, $1.0, link: $1.1)
            }
            return NIOLoopBound(runtime, eventLoop: eventLoop)
        }.get()
        do {
            let local = try await listen(configuration.listen, runtime, on: eventLoop)
            let link = try await eventLoop.flatSubmit {
                runtime.value.start()
                return EventLoopFuture.whenAllSucceed(runtime.value.linkListeners.map { $0.bind() }, on: eventLoop)
            }.get()
            return RunningSite(runtime: runtime, eventLoop: eventLoop, localAddresses: local, linkAddresses: link)
        } catch {
            try? await eventLoop.flatSubmit { runtime.value.stop(within: .seconds(1)) }.get()
            if let error = error as? TransportError { throw BridgeError(.link, error.description) }
            throw error
        }
    }

    /// Opens the journal where the configuration wants one, and says what was found in it.
    private static func journal(
        _ configuration: SiteConfiguration, _ open: @escaping JournalOpener, _ logger: Logger
    ) async throws -> OpenJournal? {
        guard configuration.journal == .durable else {
            logger.notice("without a journal: what waits is lost in a crash, and goes back to its senders at a stop")
            return nil
        }
        let journal: OpenJournal
        do {
            // Reading blocks, and may take a while after a long outage.
            journal = try await NIOSingletons.posixBlockingThreadPool.runIfActive { try open(configuration.state) }
        } catch let error as StoreError {
            throw BridgeError(.state, error.description)
        }
        for note in journal.recovered.notes { logger.notice("\(note)") }
        let known = Set(configuration.peers.map(\.name))
        for name in journal.recovered.peers.keys.sorted() where !known.contains(name) {
            let waiting = journal.recovered[name][.outbox].count
            logger.warning(
                "the journal holds the queue of a peer that is not configured any more; it is kept",
                metadata: ["peer": "\(name)", "stanzas": "\(waiting)"])
        }
        return journal
    }

    /// Says so when a certificate for a remote domain has less than thirty days left.
    private static func warnOfExpiry(_ tls: LocalTLS?, _ logger: Logger) {
        guard let expiry = tls?.server.earliestExpiry, expiry < UnixTime.now + 30 * 86_400 else { return }
        logger.warning(
            "a certificate in [site.tls] certificates expires soon; skywave pki --renew makes a new one",
            metadata: ["expires": "\(UnixTime.text(expiry))"])
    }

    /// Opens the local listeners.
    private static func listen(
        _ endpoints: [Endpoint], _ runtime: NIOLoopBound<SiteRuntime>, on eventLoop: any EventLoop
    ) async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for endpoint in endpoints {
            do {
                let channel = try await ServerBootstrap(group: eventLoop)
                    .serverChannelOption(.backlog, value: 512)
                    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                    .childChannelOption(.writeBufferWaterMark, value: SiteRuntime.waterMark)
                    .childChannelOption(.socketOption(.so_keepalive), value: 1)
                    .childChannelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture { try runtime.value.accept(channel) }
                    }
                    .bind(host: endpoint.host, port: endpoint.port).get()
                if let address = channel.localAddress { addresses.append(address) }
                try await eventLoop.submit { runtime.value.listeners.append(channel) }.get()
            } catch {
                throw BridgeError(
                    .listen,
                    """
                    cannot listen at \(endpoint) for the local server: \(NetworkFailure.describe(error)); is another bridge \
                    or a server there, and is the address one of this machine?
                    """)
            }
        }
        return addresses
    }

    /// Ends everything in good order; returns when that is done, at the latest after `patience`.
    package func stop(within patience: TimeAmount = .seconds(10)) async {
        let runtime = runtime
        try? await eventLoop.flatSubmit { runtime.value.stop(within: patience) }.get()
    }

    /// Reads the configuration file again and takes on what a running site can: quotas, lifetimes, classes, holds. What needs
    /// a restart is named in the log; a file with problems changes nothing. No link is dropped.
    ///
    /// - Returns: the same in words, and whether the file was taken on.
    @discardableResult
    package func reload(_ file: String, logger: Logger) async -> (isDone: Bool, text: String) {
        let new: SiteConfiguration
        do throws(ConfigurationProblems) {
            new = try SiteConfiguration.load(file: file)
        } catch {
            for problem in error.problems { logger.error("\(problem)") }
            logger.error(
                "the configuration was not reloaded, nothing has changed",
                metadata: ["file": "\(file)", "problems": "\(error.problems.count)"])
            return (false, "\(error.description)\nnothing has changed")
        }
        guard let change = try? await with({ $0.reload(new) }) else { return (false, "the bridge is stopping") }
        var lines = [change.changed.isEmpty ? "nothing has changed" : "changed: \(change.changed.joined(separator: ", "))"]
        if !change.needRestart.isEmpty {
            lines.append("waits for a restart: \(change.needRestart.joined(separator: ", "))")
            logger.warning(
                "changed in the configuration, but only a restart can take it on: the values of before go on",
                metadata: ["keys": "\(change.needRestart.joined(separator: ", "))"])
        }
        logger.notice(
            "configuration reloaded",
            metadata: ["changed": "\(change.changed.isEmpty ? "nothing" : change.changed.joined(separator: ", "))"])
        return (true, lines.joined(separator: "\n"))
    }

    /// The state of the site at this moment.
    package func status() async throws -> SiteStatus {
        let runtime = runtime
        return try await eventLoop.submit { runtime.value.status() }.get()
    }

    /// Runs a piece of code with the runtime, on its event loop.
    func with<Result: Sendable>(_ body: @escaping @Sendable (SiteRuntime) throws -> Result) async throws -> Result {
        let runtime = runtime
        return try await eventLoop.submit { try body(runtime.value) }.get()
    }
}
