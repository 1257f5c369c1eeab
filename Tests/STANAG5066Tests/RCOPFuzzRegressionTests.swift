import Foundation
import TestSupport
import Testing

/// Inputs that once broke a property of the putting together of RCOP units, and the seeds from which the fuzzer starts.
///
/// `RCOPProperties.swift` is a link to the fuzz entry's own file: both check the same.
@Suite struct RCOPFuzzRegressionTests {
    static func inputs(_ folder: String) -> [URL] {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz").appendingPathComponent(folder).appendingPathComponent("FuzzRCOP")
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test(arguments: inputs("Corpus") + inputs("Regressions"))
    func `what the fuzzer knows of RCOP holds`(_ file: URL) throws {
        #expect(RCOPProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    /// A short run of what the fuzzer does, from the same seeds: bytes changed, left out, doubled.
    @Test(arguments: inputs("Corpus"))
    func `U_PDUs that are nearly sound`(_ file: URL) throws {
        let seed = Array(try Data(contentsOf: file))
        var random = SeededGenerator(seed: UInt64(seed.count))
        for _ in 0..<100 {
            var input = seed
            for _ in 0..<Int.random(in: 1..<6, using: &random) where !input.isEmpty {
                let place = Int.random(in: 0..<input.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: input[place] = UInt8.random(in: 0...255, using: &random)
                case 1: input.remove(at: place)
                default: input.insert(UInt8.random(in: 0..<0x40, using: &random), at: place)
                }
            }
            #expect(RCOPProperties.violation(in: input) == nil, "\(input)")
        }
    }

    @Test func `there are inputs to start from for RCOP`() {
        #expect(Self.inputs("Corpus").count >= 20)
    }
}
