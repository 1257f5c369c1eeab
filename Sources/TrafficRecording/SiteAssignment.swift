package import XMPP

/// Which site a domain belongs to.
///
/// A domain stands for itself and everything below it, so that rooms need not be named; of several the longest counts.
/// What matches none belongs to `b`.
package struct SiteAssignment: Equatable, Sendable {
    private var sites: [(domain: Domain, site: TrafficSite)]

    /// - Parameter b: needed only where a domain of site b lies below one of site a.
    package init(a: [Domain], b: [Domain] = []) {
        sites = a.map { ($0, .a) } + b.map { ($0, .b) }
        sites.sort { $0.domain.string.utf8.count > $1.domain.string.utf8.count }
    }

    package func site(of domain: Domain) -> TrafficSite {
        sites.first { domain == $0.domain || domain.string.hasSuffix("." + $0.domain.string) }?.site ?? .b
    }

    package static func == (left: SiteAssignment, right: SiteAssignment) -> Bool {
        left.sites.elementsEqual(right.sites) { $0.domain == $1.domain && $0.site == $1.site }
    }
}
