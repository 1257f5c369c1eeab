package import Logging
package import NIOCore
import NIOPosix
import TLS
import XMPP

/// One listening address, shared by all peers that connect to it.
///
/// A connection belongs to the peer whose source addresses (plain) or certificate (TLS) it shows. Strangers are closed
/// without a word and counted; they get no parser, a deadline that traffic does not move, and a place among few.
package final class LinkListener {
    package struct Limits: Sendable {
        package var admission = ConnectionAdmission.Limits()
        /// From accepting to knowing the peer; nil for the longest time that a registered peer asks for
        /// (``TCPLinkConfiguration/handshakeTimeout``).
        package var handshakeTimeout: TimeAmount?

        package init() {}
    }

    /// What happened to connections, since the start.
    package struct Counters: Equatable, Sendable {
        package var accepted: UInt64 = 0
        /// From an address that no peer has.
        package var unknownSources: UInt64 = 0
        /// Over one of the limits of ``ConnectionAdmission``.
        package var overLimits: UInt64 = 0
        /// Without a certificate of a peer, or with no TLS at all.
        package var unknownCertificates: UInt64 = 0
        /// Not identified in time.
        package var timeouts: UInt64 = 0
    }

    private final class Pending {
        let connection: LinkConnection
        let source: ConnectionAdmission.Source
        let address: SocketAddress
        var deadline: Scheduled<Void>?

        init(_ connection: LinkConnection, source: ConnectionAdmission.Source, address: SocketAddress) {
            self.connection = connection
            self.source = source
            self.address = address
        }
    }

    private let host: String
    private let port: Int
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let limits: Limits
    private var admission: ConnectionAdmission
    private var recognition = LinkRecognition()
    /// In the order of `recognition.marks`.
    private var transports: [Weak] = []
    private var context: TLSContext?
    private var channel: (any Channel)?
    private var pending: [ObjectIdentifier: Pending] = [:]
    package private(set) var counters = Counters()
    private var lastRefusalLogged: NIODeadline?
    /// The longest that a peer asked for.
    private var peersHandshakeTimeout = TimeAmount.seconds(1)

    private struct Weak {
        weak var transport: TCPLinkTransport?
    }

    package init(host: String, port: Int, eventLoop: any EventLoop, limits: Limits = Limits(), logger: Logger) {
        self.host = host
        self.port = port
        self.eventLoop = eventLoop
        self.limits = limits
        self.logger = logger
        admission = ConnectionAdmission(limits: limits.admission)
    }

    /// Connections that have not shown yet whose they are.
    package var pendingConnections: Int { pending.count }
    package var localAddress: SocketAddress? { channel?.localAddress }
    package var isListening: Bool { channel?.isActive ?? false }
    /// As configured.
    package var place: String { "\(host):\(port)" }

    /// Adds a peer; before ``bind()``.
    func register(_ transport: TCPLinkTransport) throws(TransportError) {
        let configuration = transport.configuration
        try recognition.add(
            .init(peer: configuration.peer, tls: configuration.tls, sources: configuration.sources),
            at: "\(host):\(port)")
        transports.append(Weak(transport: transport))
        peersHandshakeTimeout = max(peersHandshakeTimeout, configuration.handshakeTimeout)
    }

    /// Starts to listen. Peers must be registered and started before.
    package func bind() -> EventLoopFuture<SocketAddress> {
        let place = "\(host):\(port)"
        do {
            context = try recognition.serverConfiguration().map { try TLSContext($0) }
        } catch {
            return eventLoop.makeFailedFuture(TransportError(.tls, "the listener at \(place) cannot use TLS: \(error)"))
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let result = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in bound.value.accept(channel) }
            .bind(host: host, port: port)
        return result.assumeIsolated().map { channel in
            self.channel = channel
            return channel.localAddress
        }.flatMapThrowing { address in
            guard let address else { throw TransportError(.cannotListen, "the listener at \(place) has no address") }
            return address
        }.flatMapErrorThrowing { error in
            guard !(error is TransportError) else { throw error }
            throw TransportError(
                .cannotListen, "cannot listen at \(place): \(error); choose a free port and an address of this machine")
        }.nonisolated()
    }

    /// Stops listening and drops whoever is not identified yet. Connections of peers are their transports' business.
    package func close() -> EventLoopFuture<Void> {
        for pending in pending.values { pending.connection.drop() }
        guard let channel else { return eventLoop.makeSucceededVoidFuture() }
        self.channel = nil
        return channel.close().flatMapErrorThrowing { error in
            guard case ChannelError.alreadyClosed = error else { throw error }
        }
    }

    // MARK: Accepting

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard let address = channel.remoteAddress else {
            return refuse(\.unknownSources, .unknownSource, "the source address is gone")
        }
        let bySource = recognition.bySource(address)
        guard bySource != .unknown else {
            return refuse(\.unknownSources, .unknownSource, "no peer connects from \(address.ipAddress ?? "?")")
        }
        let source = ConnectionAdmission.Source(address)
        guard admission.admit(source, now: .now()) else {
            return refuse(
                \.overLimits, .tooManyConnections, "too many connections from \(address.ipAddress ?? "?") or altogether"
            )
        }
        counters.accepted += 1
        let usesTLS = bySource == .certificate
        let connection = LinkConnection(openedHere: false, usesTLS: usesTLS, owner: self)
        let pending = Pending(connection, source: source, address: address)
        self.pending[ObjectIdentifier(connection)] = pending
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(connection.counter)
            if usesTLS {
                guard let context else { throw TransportError(.tls, "no TLS context") }
                try pipeline.addHandler(TLSHandler.server(context))
            }
            try pipeline.addHandler(connection)
        } catch {
            forget(connection)
            return channel.eventLoop.makeFailedFuture(error)
        }
        let timeout = limits.handshakeTimeout ?? peersHandshakeTimeout
        pending.deadline = eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
            guard let self, self.pending[ObjectIdentifier(connection)] != nil else { return }
            counters.timeouts += 1
            log("a connection did not show in time whose it is", address)
            connection.drop()
        }
        return channel.eventLoop.makeSucceededVoidFuture()
    }

    private func refuse(
        _ counter: WritableKeyPath<Counters, UInt64>, _ code: TransportError.Code, _ reason: String
    ) -> EventLoopFuture<Void> {
        counters[keyPath: counter] += 1
        log(reason, nil)
        return eventLoop.makeFailedFuture(TransportError(code, reason))
    }

    private func forget(_ connection: LinkConnection) {
        guard let pending = pending.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        pending.deadline?.cancel()
        admission.release(pending.source)
    }

    /// At most one line in ten seconds at notice: strangers must not be able to fill a disk.
    private func log(_ reason: String, _ address: SocketAddress?) {
        let now = NIODeadline.now()
        let isQuiet = lastRefusalLogged.map { now - $0 < .seconds(10) } ?? false
        if !isQuiet { lastRefusalLogged = now }
        logger.log(
            level: isQuiet ? .debug : .notice, "connection to the link refused",
            metadata: [
                "listener": "\(host):\(port)", "reason": "\(reason)", "from": "\(address?.ipAddress ?? "-")",
                "refused": "\(counters.unknownSources + counters.overLimits + counters.unknownCertificates)",
            ])
    }
}

extension LinkListener: LinkConnectionOwner {
    func connectionReady(_ connection: LinkConnection, certificate: CertificateIdentities?) {
        guard let pending = pending[ObjectIdentifier(connection)] else { return connection.drop() }
        let how: String
        let index: Int?
        if let certificate {
            index = recognition.byCertificate(certificate, from: pending.address)
            how = "TLS, certificate SHA-256 \(certificate.fingerprintText)"
        } else if case .plain(let plain) = recognition.bySource(pending.address) {
            index = plain
            how = "PLAIN, insecure"
        } else {
            index = nil
            how = ""
        }
        guard let index, let transport = transports[index].transport else {
            counters.unknownCertificates += 1
            log(
                certificate.map { "no peer has the certificate \($0.fingerprintText)" } ?? "no certificate",
                pending.address)
            return connection.drop()
        }
        forget(connection)
        connection.description = "accepted from \(pending.address.plainText), \(how)"
        transport.adopt(connection)
    }

    func connectionReadable(_ connection: LinkConnection) {
        // Only reached when a connection sends before it is ready, which `LinkConnection` does not allow.
        connection.drop()
    }

    func connectionEnded(_ connection: LinkConnection, _ reason: LinkEnd) {
        guard let pending = pending[ObjectIdentifier(connection)] else { return }
        if case .failed(let text) = reason {
            counters.unknownCertificates += 1
            log(text, pending.address)
        }
        forget(connection)
    }
}

extension SocketAddress {
    /// `address:port`, without the host name that NIO adds.
    var plainText: String {
        guard let ipAddress, let port else { return "a local socket" }
        return ipAddress.contains(":") ? "[\(ipAddress)]:\(port)" : "\(ipAddress):\(port)"
    }
}
