/// The domainpart of an address, folded to lower case and without a final dot, so that equal domains compare equal.
///
/// 1 to 1023 bytes of UTF-8; internationalised names stay as they were written, in lower case (RFC 7622 §3.2).
package struct Domain: Hashable, Sendable, CustomStringConvertible {
    /// The name as it is written on the wire.
    package let string: String
    /// The same hash that a ``Stanza`` carries for its addresses: finds candidates, decides nothing.
    package let hash64: UInt64

    /// Checks and folds a domain name; `nil` where RFC 7622 §3.2 does not allow it.
    package init?(_ text: some StringProtocol) {
        guard let folded = JIDRules.domainpart(Substring(text)) else { return nil }
        self.string = folded
        self.hash64 = StableHash.of(folded)
    }

    package var description: String { self.string }

    package static func == (left: Domain, right: Domain) -> Bool {
        left.hash64 == right.hash64 && left.string == right.string
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.hash64)
    }
}

extension Domain: Comparable {
    package static func < (left: Domain, right: Domain) -> Bool { left.string < right.string }
}
