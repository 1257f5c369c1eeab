import COpenSSL
import CShims
package import XMPP

/// The names in a certificate's subject alternative name extension that can prove an XMPP domain.
package struct SubjectNames: Equatable, Sendable {
    /// `dNSName` entries.
    package var dnsNames: [String] = []
    /// `SRVName` entries (RFC 4985), id-on-dnsSRV 1.3.6.1.5.5.7.8.7.
    package var serviceNames: [String] = []
    /// `id-on-xmppAddr` entries (RFC 6120 §13.7.1.4), 1.3.6.1.5.5.7.8.5.
    package var xmppAddresses: [String] = []
    /// Why the certificate proves nothing at all although its chain may be good; `nil` normally.
    package private(set) var damage: String?

    package init(dnsNames: [String] = [], serviceNames: [String] = [], xmppAddresses: [String] = []) {
        self.dnsNames = dnsNames
        self.serviceNames = serviceNames
        self.xmppAddresses = xmppAddresses
    }

    /// The names that a leaf for one XMPP domain carries.
    ///
    /// No XMPP address: verifiers do without.
    /// COMPAT: ejabberd (xmpp library 1.6.1 and later) ends the stream with a crash on one that is a bare domain.
    package init(domain: Domain, withSubdomains: Bool) {
        let name = ASCIIDomain(domain.string).description
        self.init(dnsNames: withSubdomains ? [name, "*.\(name)"] : [name], serviceNames: ["_xmpp-server.\(name)"])
    }

    /// Reads them. A name with a NUL byte or an unreadable or repeated extension marks the whole certificate: someone
    /// has tried to make two readers see two different names.
    init(of certificate: Certificate) {
        var criticality: Int32 = 0
        let extensionPointer = unsafe X509_get_ext_d2i(
            certificate.pointer, NID_subject_alt_name, &criticality, nil)
        guard let extensionPointer = unsafe extensionPointer else {
            // -1: there is none.
            if criticality != -1 { self.damage = "its subject alternative name is unreadable or occurs twice" }
            return
        }
        let names = OpaquePointer(extensionPointer)
        defer { unsafe skywave_names_free(names) }
        for index in 0..<(unsafe skywave_names_count(names)) {
            var bytes: UnsafePointer<UInt8>?
            var length: Int32 = 0
            let kind = unsafe skywave_names_entry(names, index, &bytes, &length)
            guard kind != SKYWAVE_NAME_OTHER else { continue }
            let value = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: Int(max(0, length))))
            self.append(value, kind: Int(kind))
        }
    }

    private mutating func append(_ value: [UInt8], kind: Int) {
        guard !value.contains(0) else {
            self.damage = "a name in it contains a NUL byte"
            return
        }
        // Printable ASCII only, except in the UTF-8 of an XMPP address: what is not a name cannot match one.
        let isXMPPAddress = kind == SKYWAVE_NAME_XMPP_ADDRESS
        guard !value.isEmpty, value.allSatisfy({ $0 > 0x20 && $0 != 0x7f && ($0 < 0x80 || isXMPPAddress) }),
            let text = String(validating: value, as: UTF8.self)
        else { return }
        switch kind {
        case SKYWAVE_NAME_DNS: self.dnsNames.append(text)
        case SKYWAVE_NAME_SERVICE: self.serviceNames.append(text)
        default: if JID(text) != nil { self.xmppAddresses.append(text) }
        }
    }

    /// Whether a server that is asked for `host` should show a certificate with these names.
    ///
    /// - Parameter throughWildcard: Whether a wildcard entry is enough; else the name itself must be there.
    func areMeantFor(_ host: ASCIIDomain, throughWildcard: Bool) -> Bool {
        let isNamed = self.dnsNames.contains { $0.hasPrefix("*.") == throughWildcard && host.matches(dnsName: $0) }
        guard !throughWildcard else { return isNamed }
        return isNamed || self.serviceNames.contains { host.matches(serviceName: $0) }
            || self.xmppAddresses.contains { ASCIIDomain($0) == host }
    }
}
