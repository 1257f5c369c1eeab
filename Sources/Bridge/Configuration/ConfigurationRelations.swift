import ConfigurationText
import XMPP

/// What must be true between parts of a configuration: names and domains belong to one, listeners do not collide.
enum ConfigurationRelations {
    static func check(site: SiteReading, peers: [PeerReading], admin: AdminReading, reader: ConfigurationReader) {
        checkNames(peers, reader)
        checkDomains(site, peers, reader)
        checkListeners(site, peers, admin, reader)
        checkNodes(peers, reader)
        if site.isComponent { checkComponents(site, peers, reader) }
    }

    /// Peers behind one service access point of a node share a bind: they must agree on it, and be told apart.
    private static func checkNodes(_ peers: [PeerReading], _ reader: ConfigurationReader) {
        for (index, peer) in peers.enumerated() {
            guard let node = peer.configuration?.transport.node else { continue }
            for other in peers[..<index] {
                guard let first = other.configuration?.transport.node, first.node == node.node, first.sap == node.sap else {
                    continue
                }
                let path = peer.path.key("transport")
                let place = "peer \"\(other.name ?? "?")\" (line \(reader.line(of: other.path)))"
                if first.remote == node.remote, first.remoteSAP == node.remoteSAP {
                    reader.report(
                        path.key("remote"), value: "\"\(node.remote)\"", "\(place) is reached there as well",
                        allowed: "another address, remote-sap or sap")
                }
                if first.reservesLink, node.reservesLink {
                    reader.report(
                        path.key("reserve-link"), "\(place) has the node's one reserved link",
                        allowed: "reserve-link for one peer behind a service access point")
                }
                for (key, isEqual) in [
                    ("rank", first.rank == node.rank), ("address-alignment", first.alignment == node.alignment),
                    ("keep-alive", first.keepAlive == node.keepAlive),
                ] where !isEqual {
                    reader.report(
                        path.key(key), "differs from that of \(place), which shares the bind to SAP \(node.sap)",
                        allowed: "the same for both, or another sap")
                }
            }
        }
    }

    private static func checkNames(_ peers: [PeerReading], _ reader: ConfigurationReader) {
        for (index, peer) in peers.enumerated() {
            guard let name = peer.name, let other = peers[..<index].first(where: { $0.name == name }) else { continue }
            reader.report(
                peer.path.key("name"), value: "\"\(name)\"",
                "another peer has this name (line \(reader.line(of: other.path.key("name"))))", allowed: "unique names")
        }
    }

    private static func checkDomains(_ site: SiteReading, _ peers: [PeerReading], _ reader: ConfigurationReader) {
        for (index, peer) in peers.enumerated() {
            for pattern in peer.domains {
                for own in site.domains where pattern.value.matches(own.value) {
                    reader.report(
                        pattern.path, value: "\"\(pattern.value)\"",
                        "overlaps \"\(own.value)\" of this site (line \(reader.line(of: own.path)))",
                        allowed: "a domain belongs either to this site or to one peer")
                }
                for other in peers[..<index] {
                    for taken in other.domains where taken.value.overlaps(pattern.value) {
                        reader.report(
                            pattern.path, value: "\"\(pattern.value)\"",
                            """
                            overlaps "\(taken.value)" of peer "\(other.name ?? "?")" \
                            (line \(reader.line(of: taken.path)))
                            """,
                            allowed: "a domain belongs to one peer")
                    }
                }
            }
        }
    }

    private static func checkListeners(
        _ site: SiteReading, _ peers: [PeerReading], _ admin: AdminReading, _ reader: ConfigurationReader
    ) {
        // The admin endpoint speaks HTTP: like the local server's listener, it shares with nobody.
        let listeners =
            site.listen.map { ($0, true) } + peers.compactMap(\.listen).map { ($0, false) }
            + [admin.listener].compactMap(\.self).map { ($0, true) }
        for (index, (listener, isLocal)) in listeners.enumerated() {
            for (other, isOtherLocal) in listeners[..<index] where other.value.collides(with: listener.value) {
                // Peers may share one listener: they are told apart by address or certificate.
                if !isLocal, !isOtherLocal, other.value == listener.value { continue }
                reader.report(
                    listener.path, value: "\"\(listener.value)\"",
                    "collides with \"\(other.value)\" (line \(reader.line(of: other.path)))",
                    allowed: "an address and port of its own")
            }
        }
        if let server = site.server {
            for listener in site.listen
            where listener.value.port == server.port && server.isAddress
                && (listener.value.host == server.host || (listener.value.isWildcard && isLoopback(server.host)))
            {
                reader.report(
                    listener.path, value: "\"\(listener.value)\"",
                    "collides with site.server: the bridge would talk to itself",
                    allowed: "an address and port of its own")
            }
        }
    }

    /// The server on this machine; elsewhere the same port is no conflict.
    private static func isLoopback(_ host: String) -> Bool {
        host.hasPrefix("127.") || host == "::1"
    }

    private static func checkComponents(_ site: SiteReading, _ peers: [PeerReading], _ reader: ConfigurationReader) {
        let patterns = peers.flatMap(\.domains)
        for pattern in patterns {
            if pattern.value.isWildcard {
                reader.report(
                    pattern.path, value: "\"\(pattern.value)\"", "a component is one exact domain (XEP-0114)",
                    allowed: "list each domain, or use attachment = \"s2s\"")
            } else if !site.components.contains(where: { $0.value == pattern.value.domain }) {
                reader.report(
                    pattern.path, value: "\"\(pattern.value)\"", "has no secret in [site.components]",
                    allowed: "a line \"\(pattern.value)\" = \"SECRET\" there")
            }
        }
        for component in site.components
        where !patterns.contains(where: { !$0.value.isWildcard && $0.value.domain == component.value }) {
            reader.report(component.path, "not a domain of any peer", allowed: "remove it, or add it to a peer")
        }
    }
}
