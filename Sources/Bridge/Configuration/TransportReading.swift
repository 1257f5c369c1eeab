import ConfigurationText
import NIOCore
import Transports
import XMPP

/// One `[peer.transport]` as far as it could be read; problems have been reported.
struct TransportReading {
    var listen: TableReader.Located<Endpoint>?
    var configuration: TransportConfiguration?

    init(_ table: TableReader, dialect: PeerConfiguration.Dialect?, domains: [DomainPattern]) {
        defer { table.finish() }
        let allowed = "allowed: \"tcp\", \"stanag5066\""
        let isNode = table.choice("kind", [("tcp", false), ("stanag5066", true)])
        if isNode == nil, !table.has("kind") { table.reportMissing("kind", allowed: allowed) }
        let hold = table.duration("hold", in: .zero ... .seconds(10)) ?? .milliseconds(20)
        // An urgent stanza waits for the batch before it, which on a radio takes minutes.
        let batchBytes = table.size("batch-bytes", in: 512...(1 << 20)) ?? (isNode == true ? 4_096 : 65_536)
        let deadAfter =
            table.duration("dead-after", in: .seconds(1) ... .hours(24)) ?? (isNode == true ? .hours(1) : .seconds(120))
        let stanzaBytes = table.size("stanza-bytes", in: 10_000...(16 << 20)) ?? 524_288
        if dialect == .skywave {
            for key in ["compression", "hold", "batch-bytes"] where table.has(key) {
                table.report(
                    key, "only used with dialect = \"xep\"", allowed: "level, hold and size in [peer.block]",
                    showsValue: false)
            }
        }
        if dialect == .xep, isNode == true, table.has("hold") {
            table.report(
                "hold", "not used through a node: stanzas wait while it works on what it has", allowed: "batch-bytes",
                showsValue: false)
        }
        let kind: TransportConfiguration.Kind? =
            isNode == true
            ? NodeTransportReading.node(table, dialect: dialect).map { .node($0) }
            : readTCP(table, dialect: dialect, domains: domains, deadAfter: deadAfter).map { .tcp($0) }
        guard isNode != nil, let kind else { return }
        configuration = TransportConfiguration(
            kind: kind, hold: hold, batchBytes: batchBytes, deadAfter: deadAfter, stanzaBytes: stanzaBytes)
    }

    private mutating func readTCP(
        _ table: TableReader, dialect: PeerConfiguration.Dialect?, domains: [DomainPattern], deadAfter: TimeAmount
    ) -> TCPTransportConfiguration? {
        let connect = table.endpoint(
            "connect", mustBeAddress: false, allowed: "\"HOST:PORT\", as in \"10.1.2.3:5269\"")
        let listen = table.endpoint(
            "listen", mustBeAddress: true, allowed: "\"ADDRESS:PORT\", as in \"0.0.0.0:5270\"")
        if let listen { self.listen = .init(value: listen, path: table.path.key("listen")) }
        if !table.has("connect"), !table.has("listen") {
            table.reader.report(
                table.path, "neither \"connect\" nor \"listen\": the link could never come up",
                allowed: "connect = \"HOST:PORT\", listen = \"ADDRESS:PORT\", or both")
        }
        if dialect == .skywave, table.has("connect"), table.has("listen") {
            table.report(
                "listen", "given beside \"connect\": in dialect \"skywave\" one end dials and the other listens",
                allowed: "exactly one of them here, the other one at the peer")
        }
        let source = table.string("source", allowed: "an address of this machine")
        if let source, !Endpoint.isAddress(source) {
            table.report("source", "not an address", allowed: "an address of this machine, without a port")
        }
        let addresses = TransportReading.addresses(table)
        let security = TransportReading.security(table, domains: domains)
        let compression = TransportReading.compression(table)
        let dialTimeout =
            table.duration("dial-timeout", in: .seconds(1) ... .hours(2))
            ?? TCPLinkConfiguration.identificationTime(deadAfter: deadAfter, usesTLS: table.has("tls"))
        let (minimum, maximum) = TransportReading.reconnect(table)
        guard let security, connect != nil || listen != nil else { return nil }
        return TCPTransportConfiguration(
            connect: connect, listen: listen, source: source, security: security, addresses: addresses,
            compression: compression, dialTimeout: dialTimeout, reconnectMinimum: minimum, reconnectMaximum: maximum)
    }

    private static func addresses(_ table: TableReader) -> [AddressRange] {
        let allowed = "addresses such as \"10.1.2.3\" or \"10.1.2.0/24\""
        return (table.strings("addresses", allowed: allowed) ?? []).compactMap { text in
            guard let range = AddressRange(text.value) else {
                table.reader.report(
                    text.path, value: TOMLNode.string(text.value).shown, "not an address or a block of addresses",
                    allowed: allowed)
                return nil
            }
            return range
        }
    }

    private static func security(_ table: TableReader, domains: [DomainPattern]) -> TCPTransportConfiguration.Security? {
        let insecure = table.boolean("insecure")
        if let tls = table.table("tls") {
            if insecure == true {
                table.report("insecure", "contradicts [peer.transport.tls]", allowed: "remove one of them")
            }
            return readTLS(tls, domains: domains).map { .tls($0) }
        }
        guard !table.has("tls") else { return nil }
        let advice = """
            a table [peer.transport.tls]; or, if everybody who can reach the link may read and forge everything on it, \
            insecure = true and addresses = [\"ADDRESS\"]
            """
        guard insecure == true else {
            if table.has("insecure"), insecure == nil { return nil }
            table.reader.report(table.path, "the link has no TLS and does not say insecure = true", allowed: advice)
            return nil
        }
        if !table.has("addresses") {
            table.reportMissing(
                "addresses", allowed: "on an insecure link: the addresses of the peer, as [\"10.1.2.3\"]")
        } else if table.isEmptyArray("addresses") {
            table.report("addresses", "no address", allowed: "on an insecure link: the addresses of the peer")
        }
        return .insecure
    }

    private static func readTLS(_ table: TableReader, domains: [DomainPattern]) -> LinkTLSConfiguration? {
        defer { table.finish() }
        let certificate = table.pemFile("certificate", .certificates)
        let key = table.pemFile("key", .privateKey)
        for name in ["certificate", "key"] where !table.has(name) {
            table.reportMissing(name, allowed: "the path of a PEM file")
        }
        if let certificate, let key,
            let problem = CertificatePair.problem(certificate: certificate, key: key, for: nil)
        {
            table.report("certificate", problem, allowed: "a certificate and the key that belongs to it")
        }
        let authorities = table.pemFile("ca", .certificates)
        let fingerprints = fingerprints(table)
        switch (table.has("ca"), table.has("fingerprints")) {
        case (true, true):
            table.report("fingerprints", "given beside \"ca\"", allowed: "exactly one of them")
        case (false, false):
            table.reader.report(
                table.path, "neither \"ca\" nor \"fingerprints\": the peer could not be recognised",
                allowed: "exactly one of them")
        case (true, false), (false, true):
            break
        }
        let serverName = serverName(table)
        if table.has("ca"), serverName == nil, !table.has("server-name"), domains.allSatisfy(\.isWildcard),
            !domains.isEmpty
        {
            table.reportMissing(
                "server-name", allowed: "the name in the peer's certificate; the peer has no exact domain")
        }
        let name = serverName ?? domains.first { !$0.isWildcard }?.domain
        let trust: LinkTLSConfiguration.Trust? =
            if let authorities, let name {
                .authorities(authorities, name: name)
            } else {
                fingerprints.map { .fingerprints($0) }
            }
        guard let certificate, let key, let trust else { return nil }
        return LinkTLSConfiguration(
            certificate: certificate, key: key, trust: trust, serverName: name)
    }

    private static func serverName(_ table: TableReader) -> Domain? {
        guard let text = table.string("server-name", allowed: "a domain name") else { return nil }
        guard let domain = Domain(text), Endpoint.isHost(domain.string) else {
            table.report("server-name", "not a domain name", allowed: "the name in the peer's certificate")
            return nil
        }
        return domain
    }

    private static func fingerprints(_ table: TableReader) -> [[UInt8]]? {
        let allowed = "SHA-256 fingerprints: 64 hexadecimal digits, colons allowed"
        guard let texts = table.strings("fingerprints", allowed: allowed) else { return nil }
        var fingerprints: [[UInt8]] = []
        for text in texts {
            let digits = text.value.filter { $0 != ":" }
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { offset -> UInt8? in
                let start = digits.index(digits.startIndex, offsetBy: offset)
                let pair = digits[start..<digits.index(start, offsetBy: 2)]
                return pair.allSatisfy(\.isHexDigit) ? UInt8(pair, radix: 16) : nil
            }
            if digits.count == 64, bytes.count == 32 {
                fingerprints.append(bytes)
            } else {
                table.reader.report(
                    text.path, value: TOMLNode.string(text.value).shown, "not a SHA-256 fingerprint", allowed: allowed)
            }
        }
        if texts.isEmpty { table.report("fingerprints", "no fingerprint", allowed: allowed) }
        return fingerprints
    }

    private static func compression(_ table: TableReader) -> TCPTransportConfiguration.Compression? {
        guard let compression = table.table("compression") else { return nil }
        defer { compression.finish() }
        let isOn = compression.boolean("deflate")
        let level = compression.integer("level", in: 1...9)
        if isOn == nil, !compression.has("deflate") { compression.reportMissing("deflate", allowed: "true or false") }
        return isOn == true ? TCPTransportConfiguration.Compression(level: level ?? 6) : nil
    }

    private static func reconnect(_ table: TableReader) -> (minimum: TimeAmount, maximum: TimeAmount) {
        var minimum = TimeAmount.seconds(1)
        var maximum = TimeAmount.seconds(60)
        guard let reconnect = table.table("reconnect") else { return (minimum, maximum) }
        let range = TimeAmount.milliseconds(10)...TimeAmount.hours(24)
        let givenMinimum = reconnect.duration("min", in: range)
        let givenMaximum = reconnect.duration("max", in: range)
        reconnect.finish()
        minimum = givenMinimum ?? min(minimum, givenMaximum ?? minimum)
        maximum = givenMaximum ?? max(maximum, minimum)
        if minimum > maximum {
            reconnect.report(
                "min", "larger than \"max\"", allowed: "at most \(ConfigurationUnits.format(maximum))")
        }
        return (minimum, maximum)
    }
}
