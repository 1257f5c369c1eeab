import ConfigurationText
import NIOCore
import XMPP

/// `[site]` as far as it could be read; problems have been reported.
struct SiteReading {
    var domains: [TableReader.Located<Domain>]
    var rooms: [Domain]
    var server: Endpoint?
    var listen: [TableReader.Located<Endpoint>]
    var state: String?
    var attachment: SiteConfiguration.Attachment
    var tls: LocalTLSConfiguration?
    var limits: LocalLimits
    var journal: JournalMode
    /// `site.components` as written, for comparison with the peers' domains.
    var components: [TableReader.Located<Domain>] = []
    var isComponent: Bool
    let path: TOMLPath

    init(_ table: TableReader, peers: [PeerReading]) {
        path = table.path
        let domains = table.domains("domains")
        self.domains = domains ?? []
        if domains == nil, !table.has("domains") {
            table.reportMissing("domains", allowed: "the domains of this site, as [\"ship.example\"]")
        } else if let domains, domains.isEmpty {
            table.report("domains", "no domain", allowed: "the domains of this site")
        }
        rooms = SiteReading.rooms(table, among: self.domains.map(\.value))

        isComponent =
            table.choice("attachment", [("s2s", false), ("component", true)]) ?? false
        server = SiteReading.server(table, defaultPort: isComponent ? 5347 : 5269)
        listen = SiteReading.listen(table, isComponent: isComponent)
        state = SiteReading.state(table)
        limits = SiteReading.limits(table.table("limits"))
        let journal = table.table("journal")
        self.journal = journal?.choice("mode", [("durable", .durable), ("off", .off)]) ?? .durable
        journal?.finish()

        let componentTable = table.table("components")
        attachment = .server
        if isComponent {
            let secrets = SiteReading.components(componentTable, in: table)
            components = secrets.map { .init(value: $0.value.0, path: $0.path) }
            attachment = .components(
                Dictionary(secrets.map { ($0.value.0, $0.value.1) }, uniquingKeysWith: { first, _ in first }))
        } else if componentTable != nil {
            table.report(
                "components", "only used with attachment = \"component\"",
                allowed: "remove it, or change the attachment",
                showsValue: false)
        }

        if isComponent {
            tls = .off
            if table.has("tls") {
                table.report(
                    "tls", "a component stream has no TLS (XEP-0114)",
                    allowed: "remove it; keep the connection on this machine")
            }
        } else {
            tls = SiteReading.tls(table, remoteDomains: peers.flatMap { $0.domains.map(\.value) })
        }
        table.finish()
    }

    static func rooms(_ table: TableReader, among domains: [Domain]) -> [Domain] {
        (table.domains("rooms") ?? []).compactMap { room in
            guard domains.contains(room.value) else {
                table.reader.report(
                    room.path, value: "\"\(room.value)\"", "not one of the domains above",
                    allowed: "allowed: " + domains.map { "\"\($0)\"" }.joined(separator: ", "))
                return nil
            }
            return room.value
        }
    }

    private static func server(_ table: TableReader, defaultPort: Int) -> Endpoint? {
        guard let server = table.table("server") else {
            if !table.has("server") {
                table.reportMissing("server", allowed: "{ host = \"127.0.0.1\", port = \(defaultPort) }")
            }
            return nil
        }
        defer { server.finish() }
        let port = server.integer("port", in: 1...65_535) ?? defaultPort
        guard let host = server.string("host", allowed: "an address or a host name") else {
            if !server.has("host") { server.reportMissing("host", allowed: "an address or a host name") }
            return nil
        }
        guard Endpoint.isHost(host) else {
            server.report("host", "not an address or a host name", allowed: "as in \"127.0.0.1\"")
            return nil
        }
        return Endpoint(host: host, port: port)
    }

    private static func listen(_ table: TableReader, isComponent: Bool) -> [TableReader.Located<Endpoint>] {
        let allowed = "\"ADDRESS:PORT\", as in \"127.0.0.2:5269\""
        if isComponent {
            if table.has("listen") {
                table.report(
                    "listen", "a component connects to the server and does not listen", allowed: "remove it")
            }
            return []
        }
        guard let texts = table.stringOrStrings("listen", allowed: allowed) else {
            if !table.has("listen") { table.reportMissing("listen", allowed: allowed) }
            return []
        }
        var endpoints: [TableReader.Located<Endpoint>] = []
        for text in texts {
            guard let endpoint = Endpoint(text.value), endpoint.isAddress else {
                table.reader.report(
                    text.path, value: TOMLNode.string(text.value).shown, "not an address and port", allowed: allowed)
                continue
            }
            endpoints.append(.init(value: endpoint, path: text.path))
        }
        if texts.isEmpty { table.report("listen", "no address", allowed: allowed) }
        return endpoints
    }

    private static func state(_ table: TableReader) -> String? {
        let allowed = "a directory, as in \"/var/lib/skywave\""
        guard let state = table.path("state", allowed: allowed) else {
            if !table.has("state") { table.reportMissing("state", allowed: allowed) }
            return nil
        }
        switch Files.kind(state) {
        case .directory:
            if !Files.isWritable(state) { table.report("state", "may not be written to", allowed: allowed) }
        case .file, .other:
            table.report("state", "not a directory", allowed: allowed)
        case nil:
            if Files.kind(Files.directory(of: state)) != .directory {
                table.report("state", "neither it nor the directory above it is there", allowed: allowed)
            }
        }
        return state
    }

    private static func limits(_ table: TableReader?) -> LocalLimits {
        var limits = LocalLimits()
        guard let table else { return limits }
        limits.connections = table.integer("connections", in: 4...65_536) ?? limits.connections
        limits.unprovedConnections =
            table.integer("unproved-connections", in: 1...65_536) ?? limits.unprovedConnections
        limits.unprovedPerAddress = table.integer("unproved-per-address", in: 1...65_536) ?? limits.unprovedPerAddress
        limits.negotiationTimeout =
            table.duration("negotiation-timeout", in: .seconds(1) ... .minutes(10)) ?? limits.negotiationTimeout
        limits.stanzaBytes = table.size("stanza-bytes", in: 10_000...(16 << 20)) ?? limits.stanzaBytes
        limits.queueBytes = table.size("queue-bytes", in: (64 << 10)...(1 << 30)) ?? limits.queueBytes
        limits.queueStanzas = table.integer("queue-stanzas", in: 16...1_000_000) ?? limits.queueStanzas
        limits.backPressure = table.duration("back-pressure", in: .zero ... .minutes(10)) ?? limits.backPressure
        table.finish()
        return limits
    }

    private static func components(
        _ components: TableReader?, in table: TableReader
    ) -> [TableReader.Located<(Domain, Secret)>] {
        guard let components else {
            if !table.has("components") {
                table.reportMissing("components", allowed: "one line \"DOMAIN\" = \"SECRET\" per remote domain")
            }
            return []
        }
        var secrets: [TableReader.Located<(Domain, Secret)>] = []
        for key in components.presentKeys {
            let secret = components.string(key, isSecret: true, allowed: "the secret as a string")
            let place = components.path.key(key)
            guard let domain = Domain(key), Endpoint.isHost(domain.string) else {
                components.reader.report(place, "not a domain name", allowed: "an exact remote domain, in quotes")
                continue
            }
            guard let secret else { continue }
            if secret.isEmpty {
                components.reader.report(place, "the secret is empty", allowed: "the secret as a string")
                continue
            }
            secrets.append(.init(value: (domain, Secret(secret)), path: place))
        }
        return secrets
    }

    private static func tls(_ site: TableReader, remoteDomains: [DomainPattern]) -> LocalTLSConfiguration? {
        let table = site.table("tls")
        if table == nil, site.has("tls") { return nil }
        defer { table?.finish() }
        let mode =
            table?.choice("mode", [("off", .off), ("optional", .optional), ("required", .required)])
            ?? LocalTLSConfiguration.Mode.required
        let authentication =
            table?.choice(
                "authentication",
                [
                    ("dialback", .dialback), ("certificate-or-dialback", .certificateOrDialback),
                    ("certificate", .certificate),
                ]) ?? (mode == .off ? LocalTLSConfiguration.Authentication.dialback : .certificateOrDialback)
        let certificates = table?.path("certificates", allowed: "a directory")
        var authorities: LocalTLSConfiguration.Authorities?
        if let table, table.has("ca") {
            authorities =
                table.string("ca") == "system"
                ? .system : table.pemFile("ca", .certificates).map { .file($0) }
        }
        if let table {
            if mode == .off, authentication != .dialback {
                table.report("authentication", "certificates need TLS", allowed: "mode = \"required\", or \"dialback\"")
            }
            if mode == .optional, authentication == .certificate {
                table.report(
                    "authentication", "a stream without TLS could never be proved", allowed: "mode = \"required\"")
            }
            if authentication == .certificate, mode != .off, !table.has("ca") {
                table.reportMissing(
                    "ca", allowed: "a PEM file, or \"system\": who may have signed the server's certificate")
            }
        }
        if mode != .off {
            if let certificates {
                checkCertificates(certificates, table?.path.key("certificates") ?? site.path, site, remoteDomains)
            } else if table?.has("certificates") != true {
                let path = site.path.key("tls").key("certificates")
                site.reader.report(
                    path, "this key is missing",
                    allowed: "the directory that `skywave pki` wrote; or mode = \"off\" under [site.tls]")
            }
        }
        return LocalTLSConfiguration(
            mode: mode, authentication: authentication, certificates: certificates, authorities: authorities)
    }

    private static func checkCertificates(
        _ directory: String, _ path: TOMLPath, _ site: TableReader, _ remoteDomains: [DomainPattern]
    ) {
        guard Files.kind(directory) == .directory else {
            site.reader.report(path, value: "\"\(directory)\"", "no such directory", allowed: "made by `skywave pki`")
            return
        }
        for pattern in remoteDomains {
            let name = "\(directory)/\(LocalTLSConfiguration.fileName(for: pattern))"
            var problems = [
                PEMFile.problem(name + ".crt", .certificates), PEMFile.problem(name + ".key", .privateKey),
            ].compactMap { $0 }
            if problems.isEmpty {
                let shown = pattern.isWildcard ? Domain("a.\(pattern.domain)") : pattern.domain
                problems = [CertificatePair.problem(certificate: name + ".crt", key: name + ".key", for: shown)]
                    .compactMap { $0 }
            }
            for problem in problems {
                site.reader.report(
                    path, value: "\"\(directory)\"", "for \"\(pattern)\": \(problem)",
                    allowed: "`skywave pki` makes certificate and key for each remote domain")
            }
        }
    }
}
