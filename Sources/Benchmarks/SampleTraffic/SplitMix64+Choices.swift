import SeededRandom

extension SplitMix64 {
    /// A number in `0..<bound`. Slightly uneven for huge bounds, which nobody needs here; unlike the standard library's
    /// it can never change between Swift versions.
    mutating func below(_ bound: Int) -> Int {
        Int(next() % UInt64(bound))
    }

    /// True in `percent` of the calls.
    mutating func chance(percent: Int) -> Bool {
        below(100) < percent
    }

    mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[below(choices.count)]
    }
}
