import ArgumentParser
import Bridge
import TLS
import XMPP

struct PKI: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pki",
        abstract: "Makes the certificates that the bridge shows to the server of its own site.",
        discussion: """
            The server wants a valid certificate for each remote domain, which this site does not own. So the site makes a \
            private authority, which only its own server has to trust, and a leaf for each remote domain: \
            DIR/ca.crt, DIR/ca.key, DIR/DOMAIN.crt, DIR/DOMAIN.key. The authority is made once and then used again; \
            certificates that are there are kept unless --renew is given. The lines that make Prosody, ejabberd and \
            Openfire trust it are printed.

            --link makes the certificate for the link to the other bridge (DIR/link.crt, DIR/link.key) and prints its \
            fingerprint, which belongs into the other site's configuration.
            """)

    @Option(help: ArgumentHelp("The directory for certificates and keys; made when it is missing.", valueName: "dir"))
    var out: String
    @Option(help: ArgumentHelp("The name of a new authority, by which people recognise it.", valueName: "name"))
    var caName = "Skywave private authority"
    @Option(help: ArgumentHelp("Validity of the certificates, 1 to 3652.", valueName: "days"))
    var days = PrivateAuthority.leafDays
    @Flag(help: "Issue certificates anew that are there already, with their old keys.")
    var renew = false
    @Option(help: ArgumentHelp("Also make a certificate for the link, with this name.", valueName: "name"))
    var link: String?
    @Argument(
        help: "Remote domains, sub-domains such as conference.hq.example included; *.hq.example for all below it.")
    var domains: [String] = []

    func validate() throws {
        guard !domains.isEmpty || link != nil else {
            throw ValidationError("name at least one remote domain, or --link NAME")
        }
        guard (1...3_652).contains(days) else { throw ValidationError("--days takes 1 to 3652") }
        for domain in domains where DomainPattern(domain) == nil || !Endpoint.isHost(stem(domain)) {
            throw ValidationError("\"\(domain)\" is not a domain name")
        }
        if let link, Domain(link) == nil || !Endpoint.isHost(link) {
            throw ValidationError("\"\(link)\" is not a name for a link; use something like bridge.ship.example")
        }
    }

    private func stem(_ domain: String) -> String {
        domain.hasPrefix("*.") ? String(domain.dropFirst(2)) : domain
    }

    func run() throws {
        do {
            let store = try CertificateStore(directory: out, authorityName: caName)
            Terminal.output(
                store.wasMade ? "made the authority \(store.authorityFile)" : "using \(store.authorityFile)")
            let patterns = domains.compactMap { DomainPattern($0) }
            for pattern in patterns {
                Terminal.output(try store.ensureLeaf(for: pattern, days: days, renews: renew))
            }
            if let name = link.flatMap({ Domain($0) }) {
                Terminal.output(try store.ensureLink(named: name, days: days, renews: renew))
            }
            Terminal.output(
                """

                The bridge has to read the keys: chown them to the user that it runs as.
                Keep \(store.directory)/ca.key off this machine once this is done: who has it can be any server to this site.
                """)
            if !patterns.isEmpty {
                Terminal.output("\nWhat this site's server has to be told:\n")
                Terminal.output(TrustLines(authorityFile: store.authorityFile, domains: patterns).all)
            }
        } catch let error as TLSError {
            Terminal.error(error.message)
            throw ExitCode.failure
        } catch let error as Files.Failure {
            Terminal.error("\(out): \(error)")
            throw ExitCode.failure
        }
    }
}
