import Blocks
import Logging
import NIOCore
import TLS
import Transports
import XMPP

/// Makes the links of a site's peers, and the listeners that they share.
enum PeerLinks {
    struct Links {
        /// In the order of the peers.
        var transports: [any LinkTransport] = []
        var listeners: [LinkListener] = []
    }

    /// - Throws: ``BridgeError`` `.link` when the settings of a peer cannot be used, such as certificates, or peers on
    ///   one listener that cannot be told apart.
    static func make(
        _ configuration: SiteConfiguration, eventLoop: any EventLoop, logger: Logger
    ) throws(BridgeError) -> Links {
        var links = Links()
        var listeners: [Endpoint: LinkListener] = [:]
        let nodes = NodeLinks(configuration.peers, eventLoop: eventLoop, logger: logger)
        for peer in configuration.peers {
            guard let tcp = peer.transport.tcp else {
                if let link = nodes.links[peer.name] { links.transports.append(link) }
                continue
            }
            var listener: LinkListener?
            if let endpoint = tcp.listen {
                // Port 0 is a new listener each time.
                listener = endpoint.port == 0 ? nil : listeners[endpoint]
                if listener == nil {
                    let made = LinkListener(
                        host: endpoint.host, port: endpoint.port, eventLoop: eventLoop, logger: logger)
                    listeners[endpoint] = made
                    links.listeners.append(made)
                    listener = made
                }
            }
            do throws(TransportError) {
                links.transports.append(
                    try TCPLinkTransport(
                        linkConfiguration(peer, tcp), eventLoop: eventLoop, listener: listener,
                        seed: SecureRandom.uniform(in: 0..<UInt64.max), logger: logger))
            } catch {
                throw BridgeError(.link, "peer \"\(peer.name)\": \(error.description)")
            }
        }
        return links
    }

    /// The preset dictionaries of all peers, by their paths.
    static func dictionaries(_ configuration: SiteConfiguration) throws(BridgeError) -> [String: BlockDictionary] {
        var dictionaries: [String: BlockDictionary] = [:]
        for path in configuration.peers.compactMap(\.block.dictionary) {
            do throws(Files.Failure) {
                dictionaries[path] = try DictionaryFile.read(path)
            } catch {
                throw BridgeError(.link, "the dictionary \(path) cannot be read: \(error)")
            }
        }
        return dictionaries
    }

    private static func linkConfiguration(
        _ peer: PeerConfiguration, _ transport: TCPTransportConfiguration
    ) -> TCPLinkConfiguration {
        let (stanzaBytes, deadAfter) = (peer.transport.stanzaBytes, peer.transport.deadAfter)
        let sources = transport.addresses.isEmpty ? nil : linkSources(transport.addresses)
        let security: TCPLinkConfiguration.Security =
            switch transport.security {
            case .insecure: .insecure(sources ?? LinkSources(description: "nowhere") { _ in false })
            case .tls(let tls): .tls(linkTLS(tls), sources: sources)
            }
        var link = TCPLinkConfiguration(
            peer: peer.name, dialect: peer.dialect == .skywave ? .skywave : .xep,
            remote: transport.connect.map { .init(host: $0.host, port: $0.port) },
            listens: transport.listen != nil, security: security)
        link.localAddress = transport.source
        link.policy.reconnectMinimum = transport.reconnectMinimum
        link.policy.reconnectMaximum = transport.reconnectMaximum
        link.compression = transport.compression.map { .deflate(level: Int32(truncatingIfNeeded: $0.level)) }
        link.limits.stanzaBytes = stanzaBytes
        link.limits.skippedBytes = max(link.limits.skippedBytes, 4 * stanzaBytes)
        // A stanza of any content must fit, however well it compresses.
        link.inflateLimits.allowanceBytes = max(link.inflateLimits.allowanceBytes, 3 * stanzaBytes)
        link.inflateLimits.unfinishedStanzaBytes = max(
            link.inflateLimits.unfinishedStanzaBytes, 8 * stanzaBytes)
        link.deadAfter = deadAfter
        link.policy.dialTimeout = transport.dialTimeout
        link.handshakeTimeout = transport.dialTimeout
        return link
    }

    private static func linkSources(_ ranges: [AddressRange]) -> LinkSources {
        LinkSources(description: ranges.map(\.description).joined(separator: ", ")) { address in
            ranges.contains { $0.contains(address) }
        }
    }

    private static func linkTLS(_ tls: LinkTLSConfiguration) -> LinkTLS {
        let trust: LinkTLS.Trust =
            switch tls.trust {
            case .fingerprints(let fingerprints): .fingerprints(fingerprints)
            case .authorities(let path, let name): .authorities(path: path, name: name)
            }
        return LinkTLS(certificatePath: tls.certificate, keyPath: tls.key, trust: trust, serverName: tls.serverName)
    }
}
