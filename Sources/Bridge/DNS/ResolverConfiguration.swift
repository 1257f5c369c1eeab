/// What `/etc/resolv.conf` says about name servers (resolv.conf(5)).
package enum ResolverConfiguration {
    /// The first name server of the machine; the local one when the file names none, as the C library does it.
    package static func systemServer(file: String = "/etc/resolv.conf") -> Endpoint {
        firstServer(in: (try? Files.readText(file)) ?? "") ?? Endpoint(host: "127.0.0.1", port: 53)
    }

    package static func firstServer(in text: String) -> Endpoint? {
        for line in text.split(whereSeparator: \.isNewline) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, words[0] == "nameserver" else { continue }
            // A zone identifier (`fe80::1%eth0`) has no place in our endpoints; such a server is passed over.
            let host = String(words[1])
            if Endpoint.isAddress(host) { return Endpoint(host: host, port: 53) }
        }
        return nil
    }

    /// `ADDRESS` or `ADDRESS:PORT` as given on the command line.
    package static func server(_ text: String) -> Endpoint? {
        if Endpoint.isAddress(text) { return Endpoint(host: text, port: 53) }
        guard let endpoint = Endpoint(text), endpoint.isAddress, endpoint.port != 0 else { return nil }
        return endpoint
    }
}
