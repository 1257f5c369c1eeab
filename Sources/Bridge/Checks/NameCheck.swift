package import XMPP

/// Whether DNS leads a server that looks for a remote domain to the bridge (RFC 6120 §3.2.1, XEP-0368).
///
/// Servers may have other means (`/etc/hosts`, overrides of their own, another resolver), so what is found here only
/// explains why the way back fails, or warns.
package struct NameCheck: Sendable {
    package typealias Ask = @Sendable (DNSQuestion) async -> Result<DNSAnswer, DNSClient.Failure>

    private let listen: [Endpoint]
    private let ask: Ask

    package init(listen: [Endpoint], ask: @escaping Ask) {
        self.listen = listen
        self.ask = ask
    }

    /// The findings for one domain.
    package func check(_ domain: Domain) async -> [CheckFinding] {
        var findings: [CheckFinding] = []
        switch await services("_xmpps-server._tcp.\(domain)") {
        case .success(let services) where services.contains(where: { !$0.target.isEmpty }):
            findings.append(
                CheckFinding(
                    .missing,
                    """
                    SRV _xmpps-server._tcp.\(domain) exists: servers with direct TLS (XEP-0368) go to \
                    \(NameCheck.list(services)) and not to the bridge
                    """,
                    ["remove it from this site's view of DNS; in dnsmasq: local=/_xmpps-server._tcp.\(domain)/"]))
        case .success, .failure: break
        }
        switch await services("_xmpp-server._tcp.\(domain)") {
        case .success(let services) where services.isEmpty:
            findings.append(await checkAddresses(domain))
        case .success(let services):
            findings.append(await checkServices(services, domain))
        case .failure(let failure):
            findings.append(
                CheckFinding(
                    .note, "DNS could not be asked about \(domain): \(failure)",
                    ["name a server with --dns ADDRESS[:PORT]"]))
        }
        return findings
    }

    private func services(_ name: String) async -> Result<[DNSAnswer.Service], DNSClient.Failure> {
        await ask(DNSQuestion(name: name, type: .srv)).map(\.services)
    }

    private func addresses(_ name: String) async -> [String] {
        if Endpoint.isAddress(name) { return [name] }
        var found: [String] = []
        for type in [DNSQuestion.RecordType.a, .aaaa] {
            if case .success(let answer) = await ask(DNSQuestion(name: name, type: type)) { found += answer.addresses }
        }
        return found
    }

    /// With SRV records: the first of them that has an address has to be the bridge.
    private func checkServices(_ services: [DNSAnswer.Service], _ domain: Domain) async -> CheckFinding {
        for service in services where !service.target.isEmpty {
            let addresses = await addresses(service.target)
            if addresses.isEmpty { continue }
            if let address = addresses.first(where: { isBridge($0, port: Int(service.port)) }) {
                return CheckFinding(
                    .good,
                    "SRV _xmpp-server._tcp.\(domain) leads to the bridge (\(Endpoint(host: address, port: Int(service.port))))"
                )
            }
            let found = addresses.map { Endpoint(host: $0, port: Int(service.port)).description }
            return CheckFinding(
                .missing,
                """
                SRV _xmpp-server._tcp.\(domain) leads to \(found.joined(separator: ", ")), where the bridge does not listen \
                (\(listen.map(\.description).joined(separator: ", ")))
                """, remedy(domain))
        }
        let refuses = services.allSatisfy { $0.target.isEmpty }
        return CheckFinding(
            .missing,
            refuses
                ? "SRV _xmpp-server._tcp.\(domain) says that there is no such service (target \".\")"
                : "SRV _xmpp-server._tcp.\(domain) names \(NameCheck.list(services)), which has neither A nor AAAA",
            remedy(domain))
    }

    /// Without SRV records: the domain's own addresses and the port 5269 (RFC 6120 §3.2.2).
    private func checkAddresses(_ domain: Domain) async -> CheckFinding {
        let addresses = await addresses(domain.string)
        guard !addresses.isEmpty else {
            return CheckFinding(
                .missing, "DNS knows neither SRV _xmpp-server._tcp.\(domain) nor A nor AAAA of \(domain)",
                remedy(domain))
        }
        if let address = addresses.first(where: { isBridge($0, port: 5269) }) {
            return CheckFinding(.good, "\(domain) has no SRV record and the bridge's address \(address), port 5269")
        }
        if addresses.contains(where: { isBridge($0, port: nil) }) {
            return CheckFinding(
                .missing,
                "\(domain) has the bridge's address, but without a SRV record servers try port 5269 and the "
                    + "bridge listens at \(listen.map(\.description).joined(separator: ", "))", remedy(domain))
        }
        return CheckFinding(
            .missing,
            """
            \(domain) has the address \(addresses.joined(separator: ", ")), where the bridge does not listen \
            (\(listen.map(\.description).joined(separator: ", ")))
            """, remedy(domain))
    }

    private func isBridge(_ address: String, port: Int?) -> Bool {
        listen.contains { endpoint in
            (port == nil || endpoint.port == port)
                // A wildcard listener has every address of the machine; which those are the way back will show.
                && (endpoint.isWildcard || Endpoint(host: endpoint.host, port: 1) == Endpoint(host: address, port: 1))
        }
    }

    private func remedy(_ domain: Domain) -> [String] {
        guard let endpoint = listen.first else { return [] }
        let address = endpoint.isWildcard ? "ADDRESS-OF-THE-BRIDGE" : endpoint.host
        return [
            "in the site's dnsmasq: srv-host=_xmpp-server._tcp.\(domain),\(address),\(endpoint.port)",
            "                       address=/\(domain)/\(address)",
        ]
    }

    private static func list(_ services: [DNSAnswer.Service]) -> String {
        services.map { "\($0.target):\($0.port)" }.joined(separator: ", ")
    }
}
