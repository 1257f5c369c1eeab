import Bridge
import ConfigurationText

/// Configurations to read, and what is wrong with them.
enum TestConfiguration {
    /// A complete and correct site in the clear, its directories being `directory`.
    static func site(
        _ directory: String, site: String = "", peer: String = "", transport: String = "", tail: String = ""
    ) -> String {
        """
        [site]
        domains = ["ship.example", "conference.ship.example"]
        server = { host = "127.0.0.1", port = 5269 }
        listen = "127.0.0.2:5269"
        state = "\(directory)"
        tls = { mode = "off" }
        \(site)
        [[peer]]
        name = "shore"
        domains = ["hq.example", "*.hq.example"]
        \(peer)
        [peer.transport]
        kind = "tcp"
        connect = "10.1.2.3:5270"
        insecure = true
        addresses = ["10.1.2.3"]
        \(transport)
        \(tail)
        """
    }

    static func problems(_ text: String, file: String = "site.toml") -> [String] {
        do {
            _ = try SiteConfiguration.parse(text, file: file)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }
}
