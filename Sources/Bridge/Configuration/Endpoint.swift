import NIOCore

/// A host and a port, as in `10.1.2.3:5269`, `[2001:db8::1]:5269` or `xmpp.hq.example:5269`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    /// An address without brackets, or a name.
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `HOST:PORT`; `nil` when the form is wrong or the port is not 0…65535.
    package init?(_ text: String) {
        let host: Substring
        let port: Substring
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<bracket]
            let rest = text[text.index(after: bracket)...]
            guard rest.first == ":", Endpoint.isAddress(String(host)) else { return nil }
            port = rest.dropFirst()
        } else {
            guard let colon = text.lastIndex(of: ":") else { return nil }
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { return nil }
        }
        guard Endpoint.isHost(String(host)), let number = Endpoint.portNumber(port) else { return nil }
        self.init(host: String(host), port: number)
    }

    private static func portNumber(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), text.utf8.count <= 5 else {
            return nil
        }
        return Int(text).flatMap { (0...65_535).contains($0) ? $0 : nil }
    }

    package var isAddress: Bool {
        Endpoint.isAddress(host)
    }

    /// Whether a listener on this address also takes connections to every other address of the machine.
    package var isWildcard: Bool {
        host == "0.0.0.0" || host == "::"
    }

    /// Whether it is an address that only this machine can reach.
    package var isLoopback: Bool {
        guard isAddress, let address = try? SocketAddress(ipAddress: host, port: 0) else { return false }
        return address.ipAddress == "::1" || !host.contains(":") && address.ipAddress?.hasPrefix("127.") == true
    }

    /// Whether two listeners cannot exist beside each other. Port 0 means "any free port" and never collides.
    package func collides(with other: Endpoint) -> Bool {
        port != 0 && port == other.port && (host == other.host || isWildcard || other.isWildcard)
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Whether the text is an IPv4 or IPv6 address, without a zone identifier.
    package static func isAddress(_ text: String) -> Bool {
        !text.contains("%") && (try? SocketAddress(ipAddress: text, port: 0)) != nil
    }

    /// Whether the text is an address or could be a host name (RFC 1123 §2.1, and `_`, which people use).
    package static func isHost(_ text: String) -> Bool {
        if isAddress(text) { return true }
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        guard !name.isEmpty, name.utf8.count <= 253 else { return false }
        // A name that ends in a number is a mistyped address, not a name.
        if let last = name.split(separator: ".").last, last.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return false
        }
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { byte in
                    switch byte {
                    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
                    default: false
                    }
                }
        }
    }
}
