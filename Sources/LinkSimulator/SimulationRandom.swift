import SeededRandom

/// The one source of chance in a simulation: SplitMix64. The same seed gives the same sequence in every process and on
/// every machine; nothing of the standard library's own randomness or hashing takes part.
package struct SimulationRandom: Sendable {
    private var generator: SplitMix64

    package init(seed: UInt64) {
        generator = SplitMix64(seed: seed)
    }

    /// 64 bits.
    package mutating func next() -> UInt64 { generator.next() }

    /// A number from 0 up to, not including, `bound`. The bias of the multiplication is far below anything that counts here.
    package mutating func below(_ bound: Int) -> Int {
        bound <= 1 ? 0 : Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    package mutating func between(_ low: Int, _ high: Int) -> Int { low + below(high - low + 1) }

    /// True so many times in a thousand.
    package mutating func chance(perMille: Int) -> Bool { below(1_000) < perMille }

    package mutating func pick<Value>(_ values: [Value]) -> Value { values[below(values.count)] }

    /// A number between the two whose logarithm is evenly spread: short spans are as likely as long ones.
    package mutating func spread(_ low: Int, _ high: Int) -> Int {
        var steps = 0
        while low << (steps + 1) <= high, steps < 40 { steps += 1 }
        let start = max(low, 1) << below(steps + 1)
        return min(high, start + below(start))
    }

    /// An independent generator: what one part draws does not move what another part gets.
    package mutating func fork() -> SimulationRandom { SimulationRandom(seed: next()) }
}
