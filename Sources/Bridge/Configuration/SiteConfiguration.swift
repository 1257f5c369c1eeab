package import Logging
package import NIOCore
package import Profiles
package import XMPP

/// One site: its own domains, the server that the bridge stands beside, and the peers. One file holds all of it.
///
/// Every key is described at the property that it becomes. `docs/examples` holds complete files. Durations are written
/// `"20ms"`, `"90s"`, `"5m"`, `"24h"`, `"7d"`; sizes as bytes or `"64KiB"`, `"64MiB"`; relative paths count from the
/// directory of the file.
package struct SiteConfiguration: Equatable, Sendable {
    /// How the bridge is attached to the server of its site.
    package enum Attachment: Equatable, Sendable {
        /// As a remote server, over s2s in both directions: the full service.
        case server
        /// As external components (XEP-0114), one stream per exact remote domain, each with its secret. For servers
        /// whose idea of DNS cannot be changed; no wildcards.
        case components([Domain: Secret])
    }

    /// The file that this was read from.
    package var file: String
    /// `site.domains`: the domains that the server of this site serves and that remote users may reach, rooms
    /// (`conference.…`) and other services included. Required, not empty, exact names.
    package var domains: [Domain]
    /// `site.rooms`: those of `site.domains` that are room services. No error is ever sent to a room: it would throw
    /// its occupants out. Default: none.
    package var rooms: [Domain]
    /// `site.server`: `{ host = "127.0.0.1", port = 5269 }`, the only place that the bridge opens local streams to;
    /// never looked up in DNS beyond the address of the host. Required. `port` defaults to 5269 (component: 5347).
    package var server: Endpoint
    /// `site.listen`: `"ADDRESS:PORT"` or an array of them, where the server finds the remote domains. Required for
    /// `attachment = "s2s"`, not allowed for `"component"`.
    package var listen: [Endpoint]
    /// `site.state`: the directory for what must survive a restart (the journal, the dialback secret); made with mode 0700
    /// when it is missing. Required.
    package var state: String
    /// `site.attachment`: `"s2s"` (default) or `"component"`. For the latter the table `[site.components]` holds one
    /// line `"DOMAIN" = "SECRET"` per remote domain.
    package var attachment: Attachment
    /// `[site.tls]`.
    package var tls: LocalTLSConfiguration
    /// `[site.limits]`.
    package var limits: LocalLimits
    /// `[site.journal]` `mode`: `"durable"` (default): what was taken on survives a crash and a power cut. `"off"`: all is
    /// kept in memory, and goes back to its senders when the bridge stops.
    package var journal: JournalMode
    /// `site.profiles`: a directory with filter profiles of one's own, looked through before those that are shipped.
    /// Default: `profiles` beside the configuration file.
    package var profiles: String
    /// `[[peer]]`, one table per peer. At least one.
    package var peers: [PeerConfiguration]
    /// `[admin]`.
    package var admin: AdminConfiguration
    /// `[log]`.
    package var log: LogConfiguration

    /// All remote domains, in the order of the file.
    package var remoteDomains: [DomainPattern] {
        peers.flatMap(\.domains)
    }
}

/// `[site.journal]` `mode`.
package enum JournalMode: String, Sendable {
    case durable
    case off
}

/// `[site.tls]`: encryption and authentication between the bridge and the server of its own site.
package struct LocalTLSConfiguration: Equatable, Sendable {
    package enum Mode: String, Sendable {
        case off
        case optional
        case required
    }

    package enum Authentication: String, Sendable {
        case dialback
        case certificateOrDialback = "certificate-or-dialback"
        case certificate
    }

    /// `mode`: `"required"` (default), `"optional"` or `"off"`. Off is for a server on the same machine that is told to
    /// do without as well.
    package var mode: Mode
    /// `authentication`: `"dialback"` (XEP-0220), `"certificate"` (SASL EXTERNAL, XEP-0178) or
    /// `"certificate-or-dialback"` (default unless `mode = "off"`, where only dialback is possible).
    package var authentication: Authentication
    /// `certificates`: the directory with `DOMAIN.crt` and `DOMAIN.key` for every remote domain, as `skywave pki`
    /// writes them (`*.hq.example`: `_wildcard.hq.example.crt`). Required unless `mode = "off"`.
    package var certificates: String?
    /// `ca`: a PEM file with the authorities that may have signed the certificate of the server, or `"system"` for
    /// those of the machine (default). Required in words for `authentication = "certificate"`.
    package var authorities: Authorities?

    package enum Authorities: Equatable, Sendable {
        case file(String)
        case system
    }

    package static let off = LocalTLSConfiguration(
        mode: .off, authentication: .dialback, certificates: nil, authorities: nil)

    /// The names of the certificate and key files for a remote domain.
    package static func fileName(for pattern: DomainPattern) -> String {
        pattern.isWildcard ? "_wildcard.\(pattern.domain)" : pattern.domain.string
    }
}

/// `[site.limits]`: what the local listener and the local streams may use.
package struct LocalLimits: Equatable, Sendable {
    /// `connections`: local connections altogether, 4…65536. Default 1024.
    package var connections = 1_024
    /// `unproved-connections`: connections from elsewhere than `site.server` that have not authenticated, 1…65536.
    /// Default 128. Those of the server itself are counted only in `connections`.
    package var unprovedConnections = 128
    /// `unproved-per-address`: the same per source address, 1…65536. Default 16.
    package var unprovedPerAddress = 16
    /// `negotiation-timeout`: from accepting or dialling to the first proved domain, whatever arrives meanwhile,
    /// 1s…10m. Default 60s.
    package var negotiationTimeout = TimeAmount.seconds(60)
    /// `stanza-bytes`: a larger stanza is bounced, 10000 B (RFC 6120 §13.12.4) … 16 MiB. Default 512 KiB.
    package var stanzaBytes = 524_288
    /// `queue-bytes`: stanzas waiting for a local stream, all streams together, 64 KiB…1 GiB. Default 16 MiB.
    package var queueBytes = 16 << 20
    /// `queue-stanzas`: stanzas waiting for one pair of domains, 16…1000000. Default 20000.
    package var queueStanzas = 20_000
    /// `back-pressure`: how long a server that reads too slowly may hold up the links before stanzas for it are queued
    /// instead, 0ms…10m. Default 10s.
    package var backPressure = TimeAmount.seconds(10)

    package init() {}
}

/// `[[peer]]`: one remote site and the agreement with it.
package struct PeerConfiguration: Equatable, Sendable {
    package enum Dialect: String, Sendable {
        /// XEP-0361 as written.
        case xep
        /// Numbered and acknowledged blocks, for a peer that is a Skywave.
        case skywave
    }

    /// `name`: letters, digits, `-`, `_`, `.`; unique; names the peer in logs, metrics and `skywave status`. Required.
    package var name: String
    /// `domains`: what lies behind this peer: exact names, or `*.NAME` for everything below. No domain may belong to
    /// two peers. Required, not empty.
    package var domains: [DomainPattern]
    /// `rooms`: those of the peer's domains that are room services (see `site.rooms`). Default: none.
    package var rooms: [Domain]
    /// `profile`: the name of the filter profile, with all that it inherits. Default: none, and everything crosses but what
    /// remote users may not say.
    package var profile: Profile
    /// `dialect`: `"skywave"` (default), or `"xep"` for a peer of another make.
    package var dialect: Dialect
    /// `[peer.transport]`. Required.
    package var transport: TransportConfiguration
    /// `[peer.outbox]`.
    package var outbox: OutboxConfiguration
    /// `[peer.inbox]`.
    package var inbox: InboxConfiguration
    /// `[peer.block]`.
    package var block: BlockConfiguration
}

/// `[peer.transport]`.
package struct TransportConfiguration: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// `kind = "tcp"`.
        case tcp(TCPTransportConfiguration)
        /// `kind = "stanag5066"`.
        case node(NodeTransportConfiguration)
    }

    package var kind: Kind
    /// Dialect `xep`: `hold`: how long a ready stanza may wait for company, 0ms…10s. Default 20ms.
    package var hold: TimeAmount
    /// Dialect `xep`: `batch-bytes`: a batch is closed when it is this large, 512 B…1 MiB. Default 64 KiB, through a node 4 KiB.
    package var batchBytes: Int
    /// `dead-after`: how long what was sent may stay unacknowledged – by the other end's TCP, in dialect `skywave` also by
    /// the other bridge – before the connection counts as dead, 1s…24h. Default 120s, through a node 1h.
    package var deadAfter: TimeAmount
    /// `stanza-bytes`: a larger stanza from the link is refused, 10000 B…16 MiB. Default 512 KiB.
    package var stanzaBytes: Int

    package var tcp: TCPTransportConfiguration? {
        if case .tcp(let tcp) = kind { tcp } else { nil }
    }

    package var node: NodeTransportConfiguration? {
        if case .node(let node) = kind { node } else { nil }
    }
}

/// `[peer.transport]` with `kind = "tcp"`: XEP-0361 over TCP, plain or with TLS from the first byte.
package struct TCPTransportConfiguration: Equatable, Sendable {
    package enum Security: Equatable, Sendable {
        /// No protection of any kind: whoever can send from one of the addresses is the peer (XEP-0361 §5).
        case insecure
        case tls(LinkTLSConfiguration)
    }

    package struct Compression: Equatable, Sendable {
        /// zlib level, 1…9.
        package var level: Int

        package init(level: Int) {
            self.level = level
        }
    }

    /// `connect`: `"HOST:PORT"` of the peer. In dialect `skywave` exactly one of `connect` and `listen` says who dials. In
    /// `xep` at least one is required; with both, whoever has something to say dials.
    package var connect: Endpoint?
    /// `listen`: `"ADDRESS:PORT"`.
    package var listen: Endpoint?
    /// `source`: the address of this machine from which `connect` dials. Default: the system chooses.
    package var source: String?
    /// `insecure = true` says in words that the link has neither encryption nor authentication; it is required without
    /// `[peer.transport.tls]`, excluded with it, and needs `addresses`.
    package var security: Security
    /// `addresses`: the source addresses that may connect to `listen`, as `"10.1.2.3"` or `"10.1.2.0/24"`. With TLS
    /// optional: empty means any.
    package var addresses: [AddressRange]
    /// Dialect `xep`: `compression`: `{ deflate = true, level = 6 }`: continuous DEFLATE, a private extension that both ends must
    /// switch on. Default: off.
    package var compression: Compression?
    /// `dial-timeout`: how long TCP and TLS together may take, at either end, 1s…2h. Default: `dead-after`, with TLS three
    /// times that, as its handshake is three flights; 60s at least.
    package var dialTimeout: TimeAmount
    /// `reconnect`: `{ min = "1s", max = "60s" }`, the pause before dialling again: doubled after each failure, with
    /// jitter. 10ms…24h.
    package var reconnectMinimum: TimeAmount
    package var reconnectMaximum: TimeAmount
}

/// `[peer.transport.tls]`: TLS 1.3 on the link, both ends with certificates.
package struct LinkTLSConfiguration: Equatable, Sendable {
    package enum Trust: Equatable, Sendable {
        /// `ca`: PEM file with the authority that signed the peer's certificate, which must carry the name.
        case authorities(String, name: Domain)
        /// `fingerprints`: SHA-256 of the peer's certificate in hex, colons allowed; several while keys change.
        case fingerprints([[UInt8]])
    }

    /// `certificate`: own certificate, PEM. Required.
    package var certificate: String
    /// `key`: its key, PEM. Required.
    package var key: String
    /// Exactly one of `ca` and `fingerprints` is required.
    package var trust: Trust
    /// `server-name`: the name that the peer's certificate must carry when it is checked against `ca`. Default: the
    /// peer's first exact domain.
    package var serverName: Domain?

    package init(certificate: String, key: String, trust: Trust, serverName: Domain?) {
        self.certificate = certificate
        self.key = key
        self.trust = trust
        self.serverName = serverName
    }
}

/// `[log]`.
package struct LogConfiguration: Equatable, Sendable {
    package enum Format: String, Sendable {
        case text
        case json
    }

    /// `level`: `"trace"`, `"debug"`, `"info"` (default), `"notice"`, `"warning"`, `"error"`, `"critical"`. Bodies
    /// appear at no level.
    package var level: Logger.Level
    /// `format`: `"text"` (default) or `"json"`, one object per line.
    package var format: Format

    package init(level: Logger.Level, format: Format) {
        self.level = level
        self.format = format
    }
}
