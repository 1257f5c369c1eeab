import SeededRandom
import TestSupport
import Testing

/// Seeds in reports and documents must give the same run for ever.
@Suite struct SplitMix64Tests {
    @Test func `the sequence is that of the reference implementation`() {
        // The first numbers that the authors' program prints for the seed 1234567.
        let expected: [UInt64] = [
            6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
        ]
        var generator = SplitMix64(seed: 1_234_567)
        var ofTests = SeededGenerator(seed: 1_234_567)
        for number in expected {
            #expect(generator.next() == number)
            #expect(ofTests.next() == number)
        }
        #expect(generator != SplitMix64(seed: 1_234_567))
    }
}
