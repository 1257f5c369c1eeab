/// An XMPP address: `local@domain/resource` (RFC 7622).
///
/// Local and domain parts are case-folded, so that addresses that mean the same compare equal; the resource is opaque.
package struct JID: Hashable, Sendable, CustomStringConvertible {
    package let local: String?
    package let domain: Domain
    package let resource: String?

    package init(local: String?, domain: Domain, resource: String?) {
        self.local = local
        self.domain = domain
        self.resource = resource
    }

    /// Splits and checks an address; `nil` where RFC 7622 §3 does not allow it.
    package init?(_ text: some StringProtocol) {
        let text = Substring(text)
        let slash = text.utf8.firstIndex(of: UInt8(ascii: "/"))
        let bare = text[..<(slash ?? text.endIndex)]
        if let slash {
            guard let resource = JIDRules.resourcepart(text[text.utf8.index(after: slash)...]) else { return nil }
            self.resource = resource
        } else {
            self.resource = nil
        }
        let domainText: Substring
        if let at = bare.utf8.firstIndex(of: UInt8(ascii: "@")) {
            guard let local = JIDRules.localpart(bare[..<at]) else { return nil }
            self.local = local
            domainText = bare[bare.utf8.index(after: at)...]
        } else {
            self.local = nil
            domainText = bare
        }
        guard let domain = Domain(domainText) else { return nil }
        self.domain = domain
    }

    package var isBare: Bool { self.resource == nil }

    /// The same address without its resource.
    package var bare: JID { self.resource == nil ? self : JID(local: self.local, domain: self.domain, resource: nil) }

    package var description: String {
        var text = self.local.map { $0 + "@" } ?? ""
        text += self.domain.string
        if let resource { text += "/" + resource }
        return text
    }
}
