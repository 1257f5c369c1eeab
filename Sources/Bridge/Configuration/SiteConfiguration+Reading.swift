package import ConfigurationText
import Logging
import NIOCore
import XMPP

extension SiteConfiguration {
    /// A configuration is written by hand; anything larger is the wrong file.
    private static let maximumFileBytes = 1 << 20

    /// Reads and checks a configuration file, with the files that it names.
    ///
    /// - Throws: all problems at once.
    package static func load(file: String) throws(ConfigurationProblems) -> SiteConfiguration {
        let text: String
        do {
            text = try Files.readText(file, limit: maximumFileBytes)
        } catch {
            throw ConfigurationProblems([
                ConfigurationProblem(
                    file: file, line: 1, key: "", value: nil, message: "cannot be read: \(error)", allowed: nil)
            ])
        }
        return try parse(text, file: file)
    }

    /// Reads and checks a configuration text; `file` names it in messages, and relative paths count from its directory.
    package static func parse(_ text: String, file: String) throws(ConfigurationProblems) -> SiteConfiguration {
        let reader = ConfigurationReader(file: file, text: text)
        let document: TOMLNode
        do {
            document = try TOMLNode.parse(text)
        } catch {
            reader.report(line: error.line, "TOML syntax, column \(error.column): \(error.message)")
            throw ConfigurationProblems(reader.problems)
        }
        guard case .table(let entries) = document else {
            reader.report(line: 1, "the document is not a table")
            throw ConfigurationProblems(reader.problems)
        }
        let configuration = read(TableReader(reader, .root, entries))
        guard let configuration, reader.problems.isEmpty else {
            throw ConfigurationProblems(reader.problems)
        }
        return configuration
    }

    /// `nil` only when at least one problem has been reported.
    private static func read(_ root: TableReader) -> SiteConfiguration? {
        let reader = root.reader
        let siteTable = root.table("site")
        let peerTables = root.tables("peer")
        let admin = AdminReading(root.table("admin"))
        let logTable = root.table("log")
        root.finish()

        if peerTables.isEmpty, !root.has("peer") {
            root.reportMissing("peer", allowed: "one table [[peer]] per remote site")
        } else if peerTables.isEmpty {
            root.report("peer", "no peer", allowed: "one table [[peer]] per remote site")
        }
        let profiles = ownProfiles(siteTable, reader)
        var peers: [PeerReading] = []
        for table in peerTables { peers.append(PeerReading(table, ProfileFiles(own: [profiles]))) }

        let log = readLog(logTable)

        guard let siteTable else {
            if !root.has("site") { root.reportMissing("site", allowed: "a table [site]") }
            return nil
        }
        let site = SiteReading(siteTable, peers: peers)
        ConfigurationRelations.check(site: site, peers: peers, admin: admin, reader: reader)

        let adminConfiguration = admin.configuration(state: site.state, reader)
        let finished = peers.compactMap(\.configuration)
        guard reader.problems.isEmpty, finished.count == peers.count, let server = site.server, let state = site.state,
            let adminConfiguration, let tls = site.tls
        else { return nil }
        return SiteConfiguration(
            file: reader.file, domains: site.domains.map(\.value), rooms: site.rooms, server: server,
            listen: site.listen.map(\.value), state: state, attachment: site.attachment, tls: tls, limits: site.limits,
            journal: site.journal, profiles: profiles, peers: finished, admin: adminConfiguration, log: log)
    }

    /// `site.profiles`, or what it is by default.
    private static func ownProfiles(_ site: TableReader?, _ reader: ConfigurationReader) -> String {
        guard let site, let directory = site.path("profiles", allowed: "a directory with profiles, NAME.toml each") else {
            return Files.directory(of: reader.file) + "/profiles"
        }
        if Files.kind(directory) != .directory {
            site.report("profiles", "not a directory", allowed: "a directory with profiles, NAME.toml each")
        }
        return directory
    }

    private static func readLog(_ table: TableReader?) -> LogConfiguration {
        guard let table else { return LogConfiguration(level: .info, format: .text) }
        defer { table.finish() }
        return LogConfiguration(
            level: table.choice("level", Logger.Level.allCases.map { ($0.rawValue, $0) }) ?? .info,
            format: table.choice("format", [("text", .text), ("json", .json)]) ?? .text)
    }
}

extension TableReader {
    /// An array of exact domains; wrong and repeated ones are reported and left out.
    func domains(_ key: String) -> [Located<Domain>]? {
        let allowed = "domain names such as \"ship.example\""
        guard let texts = strings(key, allowed: allowed) else { return nil }
        var domains: [Located<Domain>] = []
        for text in texts {
            guard let domain = Domain(text.value), Endpoint.isHost(domain.string), !text.value.hasPrefix("*") else {
                let hint = text.value.hasPrefix("*.") ? "a wildcard is not possible here" : "not a domain name"
                reader.report(text.path, value: TOMLNode.string(text.value).shown, hint, allowed: allowed)
                continue
            }
            if domains.contains(where: { $0.value == domain }) {
                reader.report(text.path, value: TOMLNode.string(text.value).shown, "listed twice")
                continue
            }
            domains.append(Located(value: domain, path: text.path))
        }
        return domains
    }

    /// An array of domains and wildcards.
    func domainPatterns(_ key: String) -> [Located<DomainPattern>]? {
        let allowed = "domain names such as \"hq.example\" or \"*.hq.example\""
        guard let texts = strings(key, allowed: allowed) else { return nil }
        var patterns: [Located<DomainPattern>] = []
        for text in texts {
            let shown = TOMLNode.string(text.value).shown
            guard let pattern = DomainPattern(text.value), Endpoint.isHost(pattern.domain.string) else {
                reader.report(text.path, value: shown, "not a domain name", allowed: allowed)
                continue
            }
            if let other = patterns.first(where: { $0.value.overlaps(pattern) }) {
                let message = other.value == pattern ? "listed twice" : "already covered by \"\(other.value)\""
                reader.report(text.path, value: shown, "\(message) (line \(reader.line(of: other.path)))")
                continue
            }
            patterns.append(Located(value: pattern, path: text.path))
        }
        return patterns
    }

    /// A file that must be there, be readable and hold PEM of one of the given kinds.
    func pemFile(_ key: String, _ kind: PEMFile.Kind) -> String? {
        guard let file = path(key, allowed: "the path of a PEM file") else { return nil }
        let problem =
            switch kind {
            case .certificates: PEMFile.problem(file, kind) ?? CertificatePair.problem(authorities: file)
            case .privateKey: PEMFile.problem(file, kind)
            }
        if let problem {
            report(key, problem, allowed: kind.allowed)
            return nil
        }
        return file
    }
}
