/// What a peer's certificate says about it, and whether it was found valid.
///
/// The TLS handler fills it, the stream machines ask it (RFC 6125 §6, RFC 6120 §13.7.1, XEP-0178 §3). The common name is
/// not in it on purpose: it names nobody (RFC 6125 §6.4.4 allows it only where no other name exists; we never do).
package struct CertificateIdentities: Equatable, Sendable {
    /// Chain, dates, purpose and names were checked and good. Nothing may be authorised by a certificate that is not valid.
    package var isValid: Bool
    /// Why the certificate is not valid, in a plain sentence; `nil` when it is.
    package var failure: String?
    /// `dNSName` entries of the subject alternative name, as they are in the certificate.
    package var dnsNames: [String]
    /// `SRVName` entries (RFC 4985), such as `_xmpp-server.hq.example`.
    package var serviceNames: [String]
    /// `id-on-xmppAddr` entries (RFC 6120 §13.7.1.4).
    package var xmppAddresses: [String]
    /// SHA-256 over the DER form of the certificate: 32 bytes.
    package var fingerprint: [UInt8]
    /// The subject as text (RFC 4514), for logs and error messages only.
    package var subject: String
    /// The last second of validity, in seconds since 1970 (UTC).
    package var notAfter: Int64

    package init(
        isValid: Bool, failure: String? = nil, dnsNames: [String] = [], serviceNames: [String] = [],
        xmppAddresses: [String] = [], fingerprint: [UInt8] = [], subject: String = "", notAfter: Int64 = 0
    ) {
        self.isValid = isValid
        self.failure = failure
        self.dnsNames = dnsNames
        self.serviceNames = serviceNames
        self.xmppAddresses = xmppAddresses
        self.fingerprint = fingerprint
        self.subject = subject
        self.notAfter = notAfter
    }

    /// Whether the certificate is valid and proves `domain` for server-to-server XMPP.
    ///
    /// Accepted are a `dNSName` that is the domain or whose whole first label is `*` (RFC 6125 §6.4.3: one label, no
    /// part of a label), an `SRVName` for `_xmpp-server`, and an XMPP address that is the bare domain.
    package func matches(_ domain: Domain) -> Bool {
        self.isValid && self.names(domain)
    }

    /// Whether the certificate carries `domain`, valid or not. For error messages; authorises nothing.
    package func names(_ domain: Domain) -> Bool {
        let wanted = ASCIIDomain(domain.string)
        return self.dnsNames.contains { wanted.matches(dnsName: $0) }
            || self.serviceNames.contains { wanted.matches(serviceName: $0) }
            || self.xmppAddresses.contains { Domain($0) == domain || ASCIIDomain($0) == wanted }
    }

    /// The fingerprint as it is usually written: upper-case hexadecimal pairs with colons.
    package var fingerprintText: String {
        let digits: [Character] = Array("0123456789ABCDEF")
        return self.fingerprint.map { String([digits[Int($0 >> 4)], digits[Int($0 & 15)]]) }.joined(separator: ":")
    }
}

/// A domain in the form in which certificates and SNI carry it: lower case, internationalised labels in Punycode
/// (`xn--…`), no final dot.
package struct ASCIIDomain: Equatable, Sendable, CustomStringConvertible {
    let labels: [String]

    package init(_ text: some StringProtocol) {
        var labels = text.split(separator: ".", omittingEmptySubsequences: false).map { label in
            label.utf8.allSatisfy { $0 < 0x80 } ? label.lowercased() : Punycode.label(of: label.lowercased())
        }
        if labels.last?.isEmpty == true { labels.removeLast() }
        self.labels = labels
    }

    package var description: String { self.labels.joined(separator: ".") }

    /// A name of type `dNSName`; its first label may be `*`, then at least two labels must follow.
    package func matches(dnsName: String) -> Bool {
        let presented = ASCIIDomain(dnsName).labels
        guard presented.count == self.labels.count, !presented.contains(where: \.isEmpty) else { return false }
        if presented.first == "*" {
            return presented.count >= 3 && presented.dropFirst() == self.labels.dropFirst()
        }
        return presented == self.labels && !presented.contains { $0.contains("*") }
    }

    /// A name of type `SRVName`: `_Service.Name` (RFC 4985 §2); only `_xmpp-server` counts here.
    package func matches(serviceName: String) -> Bool {
        let presented = ASCIIDomain(serviceName).labels
        guard presented.first == "_xmpp-server" else { return false }
        return presented.dropFirst() == self.labels[...] && !presented.contains { $0.isEmpty || $0.contains("*") }
    }
}

/// Punycode (RFC 3492) in the direction that comparing needs: from Unicode to ASCII.
enum Punycode {
    private static let base: UInt32 = 36
    private static let smallest: UInt32 = 1
    private static let largest: UInt32 = 26

    /// The label with its `xn--` prefix; a label that is too long to be one in the DNS comes back unchanged.
    static func label(of text: String) -> String {
        let scalars = text.unicodeScalars.map(\.value)
        guard scalars.count <= 63 else { return text }
        var output: [UInt8] = scalars.compactMap { $0 < 0x80 ? UInt8($0) : nil }
        let basicCount = UInt32(output.count)
        var written = basicCount
        if basicCount > 0 { output.append(UInt8(ascii: "-")) }
        var (codePoint, delta, bias): (UInt32, UInt32, UInt32) = (128, 0, 72)
        while written < UInt32(scalars.count) {
            // At most 63 scalars below 0x110000: the products stay far below 2^32.
            guard let next = scalars.lazy.filter({ $0 >= codePoint }).min() else { return text }
            delta += (next - codePoint) * (written + 1)
            codePoint = next
            for scalar in scalars {
                if scalar < codePoint { delta += 1 }
                guard scalar == codePoint else { continue }
                Self.append(delta, bias: bias, to: &output)
                bias = Self.adapted(delta, points: written + 1, isFirst: written == basicCount)
                delta = 0
                written += 1
            }
            delta += 1
            codePoint += 1
        }
        return "xn--" + String(decoding: output, as: UTF8.self)
    }

    /// One number as a variable-length integer (RFC 3492 §6.3).
    private static func append(_ number: UInt32, bias: UInt32, to output: inout [UInt8]) {
        var rest = number
        var position = Self.base
        while true {
            let threshold = position <= bias ? Self.smallest : min(position - bias, Self.largest)
            guard rest >= threshold else { break }
            output.append(Self.digit(threshold + (rest - threshold) % (Self.base - threshold)))
            rest = (rest - threshold) / (Self.base - threshold)
            position += Self.base
        }
        output.append(Self.digit(rest))
    }

    private static func digit(_ value: UInt32) -> UInt8 {
        value < 26 ? UInt8(ascii: "a") + UInt8(value) : UInt8(ascii: "0") + UInt8(value - 26)
    }

    /// Bias adaptation (RFC 3492 §6.1).
    private static func adapted(_ difference: UInt32, points: UInt32, isFirst: Bool) -> UInt32 {
        var delta = isFirst ? difference / 700 : difference / 2
        delta += delta / points
        var bias: UInt32 = 0
        while delta > (Self.base - Self.smallest) * Self.largest / 2 {
            delta /= Self.base - Self.smallest
            bias += Self.base
        }
        return bias + (Self.base - Self.smallest + 1) * delta / (delta + 38)
    }
}
