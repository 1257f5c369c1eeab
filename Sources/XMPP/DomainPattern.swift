/// A domain of a peering agreement: one name, or `*.name` for every name below it.
///
/// `*.hq.example` stands for `chat.hq.example` and `a.b.hq.example`, not for `hq.example` itself.
package struct DomainPattern: Hashable, Sendable, CustomStringConvertible {
    package let domain: Domain
    package let isWildcard: Bool
    private let suffix: String

    /// Reads a pattern; `nil` where it is neither a domain nor `*.` and a domain.
    package init?(_ text: String) {
        self.isWildcard = text.hasPrefix("*.")
        guard let domain = Domain(text.dropFirst(self.isWildcard ? 2 : 0)) else { return nil }
        self.domain = domain
        self.suffix = "." + domain.string
    }

    package func matches(_ candidate: Domain) -> Bool {
        self.isWildcard ? candidate.string.hasSuffix(self.suffix) : candidate == self.domain
    }

    /// Whether some domain could match both.
    package func overlaps(_ other: DomainPattern) -> Bool {
        switch (self.isWildcard, other.isWildcard) {
        case (false, false): self.domain == other.domain
        case (true, false): self.matches(other.domain)
        case (false, true): other.matches(self.domain)
        case (true, true):
            self.domain == other.domain || self.matches(other.domain) || other.matches(self.domain)
        }
    }

    package var description: String { self.isWildcard ? "*" + self.suffix : self.domain.string }
}
