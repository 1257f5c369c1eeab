import Logging
import NIOCore
import NIOPosix
import TLS
import XMPP

/// One call of the peer, from the first packet to a peer that is known.
///
/// A host name may have several addresses, each with a connection of its own; the first that is ready counts.
final class DialAttempt {
    fileprivate(set) var isOver = false
    fileprivate var connections: [LinkConnection] = []
    fileprivate var isConnected = false
    fileprivate var lastEnd: LinkEnd?
}

extension TCPLinkTransport {
    func dial() {
        guard let remote = configuration.remote else { return }
        let attempt = DialAttempt()
        self.attempt = attempt
        logger.debug("dialling", metadata: ["peer": "\(configuration.peer)", "remote": "\(remote)"])
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        var bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.prepare(channel) }
            }
        if let localAddress = configuration.localAddress,
            let address = try? SocketAddress(ipAddress: localAddress, port: 0)
        {
            bootstrap = bootstrap.bind(to: address)
        }
        bootstrap.connect(host: remote.host, port: remote.port).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel):
                attempt.isConnected = true
                if !channel.isActive { self.end(attempt, attempt.lastEnd ?? .cut) }
            case .failure(let error):
                self.end(attempt, LinkEnd(dialError: error, remote: remote))
            }
        }
    }

    func abandonDial() {
        guard let attempt else { return }
        self.attempt = nil
        attempt.isOver = true
        for connection in attempt.connections { connection.drop() }
    }

    private func prepare(_ channel: any Channel) throws {
        guard let attempt else { throw ChannelError.operationUnsupported }
        let connection = LinkConnection(openedHere: true, usesTLS: clientContext != nil, owner: self)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(connection.counter)
        if let clientContext {
            let name = configuration.tls?.requestedName?.string
            try pipeline.addHandler(TLSHandler.client(clientContext, serverName: name))
        }
        try pipeline.addHandler(connection)
        attempt.connections.append(connection)
    }

    private func end(_ attempt: DialAttempt, _ reason: LinkEnd) {
        guard !attempt.isOver, self.attempt === attempt else { return }
        abandonDial()
        dialFailed(reason, bytes: attempt.connections.last?.counter)
    }

    func dialledConnectionReady(_ connection: LinkConnection, certificate: CertificateIdentities?) {
        guard let attempt, !attempt.isOver, attempt.connections.contains(where: { $0 === connection }) else {
            return connection.drop()
        }
        let remote = connection.remoteAddress?.plainText ?? "?"
        if let tls = configuration.tls {
            guard let certificate, tls.accepts(certificate) else {
                let shown = certificate.map { "shows the certificate \($0.fingerprintText)" } ?? "shows no certificate"
                return end(
                    attempt,
                    .failed(
                        "The peer at \(remote) \(shown), which is not the one agreed on; ask its operator for the "
                            + "fingerprint, and do not trust the link until both agree"))
            }
            connection.description = "dialled \(remote), TLS, certificate SHA-256 \(certificate.fingerprintText)"
        } else {
            connection.description = "dialled \(remote), PLAIN, insecure"
        }
        self.attempt = nil
        attempt.isOver = true
        for other in attempt.connections where other !== connection { other.drop() }
        dialSucceeded(connection)
    }

    func dialledConnectionEnded(_ connection: LinkConnection, _ reason: LinkEnd) {
        guard let attempt, !attempt.isOver, attempt.connections.contains(where: { $0 === connection }) else { return }
        attempt.lastEnd = reason
        if attempt.isConnected { end(attempt, reason) }
    }
}
