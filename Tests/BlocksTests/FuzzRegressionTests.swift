import Foundation
import TestSupport
import Testing

/// Inputs that once broke a property of the link reader, and the seeds from which the fuzzer starts.
///
/// `LinkReaderProperties.swift` and `BlockReaderProperties.swift` are links to the fuzz entries' own files: both check the same.
@Suite struct FuzzRegressionTests {
    @Test(arguments: FuzzInputs.all(of: "FuzzLinkReader"))
    func `what the fuzzer knows holds`(_ file: URL) throws {
        #expect(LinkReaderProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    @Test(arguments: FuzzInputs.all(of: "FuzzBlockReader"))
    func `what the fuzzer knows of blocks holds`(_ file: URL) throws {
        #expect(BlockReaderProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    /// A short run of what the fuzzer does, from the same seeds: bytes changed, left out, doubled.
    @Test(arguments: FuzzInputs.files(.corpus, of: "FuzzBlockReader"))
    func `blocks that are nearly sound`(_ file: URL) throws {
        let seed = Array(try Data(contentsOf: file))
        for input in FuzzInputs.near(seed, count: 120, inserted: 0..<0x20) {
            #expect(BlockReaderProperties.violation(in: input) == nil, "\(input)")
        }
    }

    @Test func `there are inputs to start from`() {
        #expect(FuzzInputs.files(.corpus, of: "FuzzLinkReader").count >= 10)
        #expect(FuzzInputs.files(.corpus, of: "FuzzBlockReader").count >= 10)
    }
}
