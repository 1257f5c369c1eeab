import Foundation
import TestSupport
import Testing

/// Inputs that once broke a property of the putting together of RCOP units, and the seeds from which the fuzzer starts.
///
/// `RCOPProperties.swift` is a link to the fuzz entry's own file: both check the same.
@Suite struct RCOPFuzzRegressionTests {
    @Test(arguments: FuzzInputs.all(of: "FuzzRCOP"))
    func `what the fuzzer knows of RCOP holds`(_ file: URL) throws {
        #expect(RCOPProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    /// A short run of what the fuzzer does, from the same seeds: bytes changed, left out, doubled.
    @Test(arguments: FuzzInputs.files(.corpus, of: "FuzzRCOP"))
    func `U_PDUs that are nearly sound`(_ file: URL) throws {
        let seed = Array(try Data(contentsOf: file))
        for input in FuzzInputs.near(seed, count: 100, inserted: 0..<0x40) {
            #expect(RCOPProperties.violation(in: input) == nil, "\(input)")
        }
    }

    @Test func `there are inputs to start from for RCOP`() {
        #expect(FuzzInputs.files(.corpus, of: "FuzzRCOP").count >= 20)
    }
}
