import ServerStreams
import TLS
import XMPP

/// The two TLS contexts of the local side: one shows the certificates of the remote domains to the server that dials,
/// the other to the server that is dialled. `nil` where TLS is off.
struct LocalTLS {
    let server: TLSContext
    let client: TLSContext
    private let patterns: [DomainPattern]

    init?(_ configuration: SiteConfiguration) throws(TLSError) {
        guard configuration.tls.mode != .off, let directory = configuration.tls.certificates else { return nil }
        patterns = configuration.remoteDomains
        let identities = configuration.remoteDomains.map { pattern in
            let name = "\(directory)/\(LocalTLSConfiguration.fileName(for: pattern))"
            return TLSConfiguration.Identity(certificateChainPath: name + ".crt", keyPath: name + ".key")
        }
        let trust: TLSConfiguration.Trust =
            switch configuration.tls.authorities {
            case .file(let path): .certificateAuthorities(path)
            case .system, nil: .systemRoots
            }
        // A certificate that is no good is recorded and then proves nothing: whether dialback may do instead is for the
        // stream machines to say (XEP-0178 §3).
        let verification: TLSConfiguration.PeerVerification =
            configuration.tls.authentication == .dialback ? .none : .recorded
        server = try TLSContext(
            TLSConfiguration(role: .server, identities: identities, trust: trust, peerVerification: verification))
        client = try TLSContext(
            TLSConfiguration(role: .client, identities: identities, trust: trust, peerVerification: verification))
    }

    func handler(asServer: Bool, domain: Domain, peerName: Domain?) -> TLSHandler {
        asServer
            ? .server(server, identity: domain.string)
            : .client(client, serverName: peerName?.string, identity: domain.string)
    }
}
