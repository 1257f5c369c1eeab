/// What a new configuration file changes in a site that runs, and what it cannot change before a restart.
package struct ConfigurationChange: Equatable, Sendable {
    /// Peers whose limits or timings change.
    package var changed: [String] = []
    /// Keys whose new values wait for a restart, in the order of the file's sections.
    package var needRestart: [String] = []

    package init(from old: SiteConfiguration, to new: SiteConfiguration) {
        compare(
            [
                ("site.domains", old.domains == new.domains), ("site.rooms", old.rooms == new.rooms),
                ("site.server", old.server == new.server), ("site.listen", old.listen == new.listen),
                ("site.state", old.state == new.state), ("site.attachment", old.attachment == new.attachment),
                ("site.tls", old.tls == new.tls), ("site.limits", old.limits == new.limits),
                ("site.journal", old.journal == new.journal), ("admin", old.admin == new.admin),
                ("log", old.log == new.log),
            ])
        for peer in old.peers where !new.peers.contains(where: { $0.name == peer.name }) {
            needRestart.append("removal of peer \"\(peer.name)\"")
        }
        for peer in new.peers {
            guard let known = old.peers.first(where: { $0.name == peer.name }) else {
                needRestart.append("addition of peer \"\(peer.name)\"")
                continue
            }
            compare(known, peer)
        }
    }

    private mutating func compare(_ keys: [(String, Bool)]) {
        for (key, isEqual) in keys where !isEqual { needRestart.append(key) }
    }

    private mutating func compare(_ old: PeerConfiguration, _ new: PeerConfiguration) {
        let place = "peer \"\(new.name)\": "
        let (from, to) = (old.transport, new.transport)
        compare(
            [
                (place + "domains", old.domains == new.domains), (place + "rooms", old.rooms == new.rooms),
                (place + "dialect", old.dialect == new.dialect),
                (place + "transport.dead-after", from.deadAfter == to.deadAfter),
                (place + "transport.stanza-bytes", from.stanzaBytes == to.stanzaBytes),
                (place + "block.level", old.block.level == new.block.level),
                (place + "block.pad-to", old.block.padTo == new.block.padTo),
                (place + "block.dictionary", old.block.dictionary == new.block.dictionary),
            ])
        switch (from.kind, to.kind) {
        case (.tcp(let from), .tcp(let to)): compare(place, from, to)
        case (.node(let from), .node(let to)):
            compare([(place + "transport", from == to)])
        case (.tcp, .node), (.node, .tcp): needRestart.append(place + "transport.kind")
        }
        if old != ConfigurationChange.applied(new, to: old) { changed.append(new.name) }
    }

    private mutating func compare(_ place: String, _ from: TCPTransportConfiguration, _ to: TCPTransportConfiguration) {
        compare(
            [
                (place + "transport.connect", from.connect == to.connect),
                (place + "transport.listen", from.listen == to.listen),
                (place + "transport.source", from.source == to.source),
                (place + "transport.addresses", from.addresses == to.addresses),
                (place + "transport.tls", from.security == to.security),
                (place + "transport.compression", from.compression == to.compression),
                (place + "transport.dial-timeout", from.dialTimeout == to.dialTimeout),
                (
                    place + "transport.reconnect",
                    from.reconnectMinimum == to.reconnectMinimum && from.reconnectMaximum == to.reconnectMaximum
                ),
            ])
    }

    /// A peer as it runs after the change: everything that needs a restart is as it was.
    static func applied(_ new: PeerConfiguration, to old: PeerConfiguration) -> PeerConfiguration {
        var peer = old
        peer.profile = new.profile
        peer.outbox = new.outbox
        peer.inbox = new.inbox
        peer.block.hold = new.block.hold
        peer.block.size = new.block.size
        peer.transport.hold = new.transport.hold
        peer.transport.batchBytes = new.transport.batchBytes
        return peer
    }
}
