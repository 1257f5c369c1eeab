import Foundation
import TestSupport
import Testing

/// Inputs that once broke a property of the link reader, and the seeds from which the fuzzer starts.
///
/// `LinkReaderProperties.swift` and `BlockReaderProperties.swift` are links to the fuzz entries' own files: both check the same.
@Suite struct FuzzRegressionTests {
    private static let fuzz = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz")

    static func inputs(_ folder: String, of target: String = "FuzzLinkReader") -> [URL] {
        let directory = fuzz.appendingPathComponent(folder).appendingPathComponent(target)
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test(arguments: inputs("Corpus") + inputs("Regressions"))
    func `what the fuzzer knows holds`(_ file: URL) throws {
        #expect(LinkReaderProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    @Test(arguments: inputs("Corpus", of: "FuzzBlockReader") + inputs("Regressions", of: "FuzzBlockReader"))
    func `what the fuzzer knows of blocks holds`(_ file: URL) throws {
        #expect(BlockReaderProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    /// A short run of what the fuzzer does, from the same seeds: bytes changed, left out, doubled.
    @Test(arguments: inputs("Corpus", of: "FuzzBlockReader"))
    func `blocks that are nearly sound`(_ file: URL) throws {
        let seed = Array(try Data(contentsOf: file))
        var random = SeededGenerator(seed: UInt64(seed.count))
        for _ in 0..<120 {
            var input = seed
            for _ in 0..<Int.random(in: 1..<6, using: &random) where !input.isEmpty {
                let place = Int.random(in: 0..<input.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: input[place] = UInt8.random(in: 0...255, using: &random)
                case 1: input.remove(at: place)
                default: input.insert(UInt8.random(in: 0..<0x20, using: &random), at: place)
                }
            }
            #expect(BlockReaderProperties.violation(in: input) == nil, "\(input)")
        }
    }

    @Test func `there are inputs to start from`() {
        #expect(Self.inputs("Corpus").count >= 10)
        #expect(Self.inputs("Corpus", of: "FuzzBlockReader").count >= 10)
    }
}
