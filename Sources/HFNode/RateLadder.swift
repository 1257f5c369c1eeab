/// The modes among which a rate policy moves: one for each rate of a family, lowest first.
package struct RateLadder: Hashable, Sendable {
    package let waveforms: [Waveform]

    /// - Parameter waveforms: lowest rate first.
    package init(_ waveforms: [Waveform]) {
        self.waveforms = waveforms
    }

    /// - Parameters:
    ///   - interleaver: wanted at every rate. Where a rate does not have it, the nearest that it has; of two, the
    ///     longer.
    ///   - rates: in bit/s; rates beyond, and modes of which no thresholds are known, are left out.
    package init(_ family: WaveformFamily, interleaver: Interleaver, rates: ClosedRange<Int>) {
        waveforms = family.rates.filter { rates.contains($0) }.compactMap { rate in
            let choice = Self.nearest(to: interleaver, among: family.interleavers(at: rate))
            return choice.flatMap { Waveform(family, bitsPerSecond: rate, interleaver: $0) }
        }.filter { $0.thresholds != nil }
    }

    private static func nearest(to wanted: Interleaver, among choices: [Interleaver]) -> Interleaver? {
        let order = Interleaver.allCases
        let place = order.firstIndex(of: wanted) ?? 0
        return choices.max { left, right in
            let (one, two) = (order.firstIndex(of: left) ?? 0, order.firstIndex(of: right) ?? 0)
            return (-abs(one - place), one) < (-abs(two - place), two)
        }
    }

    /// The ladder with each of its modes changed in the same way.
    package func changed(_ body: (inout Waveform) -> Void) -> RateLadder {
        RateLadder(
            waveforms.map { waveform in
                var waveform = waveform
                body(&waveform)
                return waveform
            })
    }

    /// One step down, or the same at the bottom.
    package func below(_ waveform: Waveform) -> Waveform {
        waveforms.last { $0.bitsPerSecond < waveform.bitsPerSecond } ?? waveform
    }

    /// One step up, or the same at the top.
    ///
    /// - Parameter skips2400: 2400 bit/s is passed over where 3200 follows: on a fading channel it needs nearly as
    ///   much.
    package func above(_ waveform: Waveform, skips2400: Bool) -> Waveform {
        let higher = waveforms.filter { $0.bitsPerSecond > waveform.bitsPerSecond }
        if skips2400, higher.count > 1, higher[0].narrowbandRate == 2_400 { return higher[1] }
        return higher.first ?? waveform
    }
}
