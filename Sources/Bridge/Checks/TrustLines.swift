package import XMPP

/// What the server of a site has to be told so that it finds the bridge under the remote domains and believes it.
/// Printed by `skywave pki` and named by `skywave check --dial`; `docs/servers.md` explains each line.
package struct TrustLines: Sendable {
    package var authorityFile: String
    package var domains: [DomainPattern]
    /// Where the bridge listens, when it is known.
    package var listen: Endpoint?

    package init(authorityFile: String, domains: [DomainPattern], listen: Endpoint? = nil) {
        self.authorityFile = authorityFile
        self.domains = domains
        self.listen = listen
    }

    package var prosody: String {
        let secure = domains.map { "\"\($0.domain)\"" }.joined(separator: ", ")
        return """
            Prosody (prosody.cfg.lua, global section or per VirtualHost and Component):
                ssl = { cafile = "\(authorityFile)" }
                s2s_secure_auth = true              -- Debian's default; or only for these domains:
                -- s2s_secure_auth = false; s2s_secure_domains = { \(secure) }
                limits = { s2sin = { rate = "10mb/s" } }   -- Debian's default slows the bridge to 30 kB/s
            """
    }

    package var ejabberd: String {
        """
        ejabberd (ejabberd.yml):
            s2s_use_starttls: required
            ca_file: \(authorityFile)
            s2s_max_retry_delay: 1              # otherwise it bounces for up to 300 s after one failure
        """
    }

    package var openfire: String {
        """
        Openfire:
            keytool -importcert -noprompt -alias skywave -file \(authorityFile) \\
                -keystore /etc/openfire/security/truststore -storepass changeit
            or in the console: Server > TLS/SSL Certificates > trust store for server connections > import
            system property dnsutil.dnsOverride = \(overrides)
        """
    }

    package var names: String {
        let address = listen?.host ?? "ADDRESS-OF-THE-BRIDGE"
        let port = listen?.port ?? 5269
        var lines = ["Names (dnsmasq of the site, /etc/dnsmasq.d/skywave.conf):"]
        for pattern in domains {
            // An address line covers everything below the name as well.
            if !covered(pattern) { lines.append("    address=/\(pattern.domain)/\(address)") }
            if !pattern.isWildcard {
                lines.append("    srv-host=_xmpp-server._tcp.\(pattern.domain),\(address),\(port)")
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Whether another domain's address line covers this one.
    private func covered(_ pattern: DomainPattern) -> Bool {
        domains.contains { other in
            other != pattern
                && (pattern.domain.string.hasSuffix("." + other.domain.string)
                    || (pattern.isWildcard && !other.isWildcard && other.domain == pattern.domain))
        }
    }

    private var overrides: String {
        domains.map { "{\($0),\(listen?.description ?? "ADDRESS-OF-THE-BRIDGE:5269")}" }.joined(separator: ",")
    }

    package var all: String {
        [prosody, ejabberd, openfire, names].joined(separator: "\n\n")
    }
}
