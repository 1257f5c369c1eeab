import NIOCore
import TLS
import XMPP

/// Tells the peers that share a listener from each other, and strangers from all of them (XEP-0361 §4.2).
struct LinkRecognition {
    /// What one peer is known by.
    struct Mark {
        let peer: String
        let tls: LinkTLS?
        let sources: LinkSources?
    }

    private(set) var marks: [Mark] = []

    /// What to do with a connection of which only the source is known.
    enum BySource: Equatable {
        /// The peer with this index, without protection.
        case plain(Int)
        /// The certificate decides.
        case certificate
        /// Nobody's.
        case unknown
    }

    /// Adds a peer.
    ///
    /// - Throws: ``TransportError`` when it could be taken for one of the others, or cannot share their TLS settings.
    mutating func add(_ mark: Mark, at address: String) throws(TransportError) {
        for other in marks {
            guard let theirs = other.tls, let ours = mark.tls else { continue }
            let who = "the peers \(other.peer) and \(mark.peer) both listen at \(address)"
            guard theirs.certificatePath == ours.certificatePath, theirs.keyPath == ours.keyPath else {
                throw TransportError(
                    .conflictingPeers,
                    "\(who) but show different certificates; give both the same one, or different ports")
            }
            switch (theirs.trust, ours.trust) {
            case (.authorities(let one, let theirName), .authorities(let two, let ourName)):
                // An authority that speaks for one peer must not be able to speak for another.
                guard one == two else {
                    throw TransportError(
                        .conflictingPeers,
                        "\(who) but trust different authorities; pin their fingerprints, or use different ports")
                }
                guard theirName != ourName else {
                    throw TransportError(
                        .conflictingPeers, "\(who) and both expect a certificate for \(ourName); give each its own name"
                    )
                }
            case (.fingerprints(let one), .fingerprints(let two)):
                guard one.allSatisfy({ !two.contains($0) }) else {
                    throw TransportError(
                        .conflictingPeers, "\(who) and pin the same certificate; each peer needs its own")
                }
            case (.authorities, .fingerprints), (.fingerprints, .authorities):
                // A pinned certificate decides before a name does.
                continue
            }
        }
        marks.append(mark)
    }

    func bySource(_ address: SocketAddress) -> BySource {
        if let index = marks.firstIndex(where: { $0.tls == nil && $0.sources?.contains(address) == true }) {
            return .plain(index)
        }
        return marks.contains { $0.tls != nil && $0.sources?.contains(address) != false } ? .certificate : .unknown
    }

    /// The peer that a certificate belongs to.
    func byCertificate(_ certificate: CertificateIdentities, from address: SocketAddress) -> Int? {
        let candidates = marks.indices.filter { marks[$0].sources?.contains(address) != false }
        return candidates.first { index in
            switch marks[index].tls?.trust {
            case .fingerprints(let pinned): pinned.contains(certificate.fingerprint)
            case .authorities, nil: false
            }
        }
            ?? candidates.first { index in
                switch marks[index].tls?.trust {
                case .authorities(_, let name): certificate.matches(name)
                case .fingerprints, nil: false
                }
            }
    }

    /// The TLS settings that serve all peers; nil when none of them uses TLS.
    func serverConfiguration() -> TLSConfiguration? {
        let all = marks.compactMap(\.tls)
        guard let first = all.first else { return nil }
        var authorities: String?
        var fingerprints: [[UInt8]] = []
        for tls in all {
            switch tls.trust {
            case .authorities(let path, _): authorities = path
            case .fingerprints(let pinned): fingerprints += pinned
            }
        }
        let trust: TLSConfiguration.Trust =
            authorities.map { .certificateAuthorities($0) } ?? .fingerprints(fingerprints)
        var configuration = TLSConfiguration.link(role: .server, identity: first.identity, trust: trust)
        if authorities != nil, !fingerprints.isEmpty {
            // A pinned certificate need not come from the authority: the handshake lets it pass, `byCertificate` decides.
            configuration.peerVerification = .recorded
        }
        return configuration
    }
}

extension LinkTLS {
    var identity: TLSConfiguration.Identity {
        TLSConfiguration.Identity(certificateChainPath: certificatePath, keyPath: keyPath)
    }

    func clientConfiguration() -> TLSConfiguration {
        switch trust {
        case .authorities(let path, _): .link(role: .client, identity: identity, trust: .certificateAuthorities(path))
        case .fingerprints(let pinned): .link(role: .client, identity: identity, trust: .fingerprints(pinned))
        }
    }

    /// The name that is asked for; with authorities it is also the one that the certificate must carry.
    var requestedName: Domain? {
        switch trust {
        case .authorities(_, let name): name
        case .fingerprints: serverName
        }
    }

    /// Whether the certificate is the peer's. The handshake has checked it already; this does not rely on that.
    func accepts(_ certificate: CertificateIdentities) -> Bool {
        switch trust {
        case .authorities(_, let name): certificate.matches(name)
        case .fingerprints(let pinned): pinned.contains(certificate.fingerprint)
        }
    }
}
