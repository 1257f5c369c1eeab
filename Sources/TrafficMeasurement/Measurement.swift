package import XMPP

/// What a recording came to on a link.
package struct Measurement: Sendable {
    /// Bytes of all blocks in both directions: headers, openings and acknowledgements included.
    package var bytesLink = 0
    package var kinds: [StanzaKind: KindFigures] = [:]

    /// Rates of the airtime table, in bit/s.
    package static let rates = [75, 300, 1_200, 2_400, 9_600]
    package static let kindOrder: [StanzaKind] = [.message, .presence, .iq]

    package init() {}

    package var total: KindFigures {
        var total = KindFigures()
        for kind in Self.kindOrder { total += kinds[kind] ?? KindFigures() }
        total.bytesLink = bytesLink
        return total
    }

    package static func += (left: inout Measurement, right: Measurement) {
        left.bytesLink += right.bytesLink
        for (kind, figures) in right.kinds { left.kinds[kind, default: KindFigures()] += figures }
    }

    /// Seconds that the link's bytes take at a rate.
    package func airtime(bitsPerSecond: Int) -> Double { Double(bytesLink * 8) / Double(bitsPerSecond) }

    /// One stream carries all kinds, so each has its share by what was sent of it.
    mutating func shareLinkBytes() {
        let text = kinds.values.reduce(0) { $0 + $1.textSent }
        guard text > 0 else { return }
        kinds = kinds.mapValues { figures in
            var figures = figures
            figures.bytesLink = Int((Double(bytesLink) * Double(figures.textSent) / Double(text)).rounded())
            return figures
        }
    }
}
