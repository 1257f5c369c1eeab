import Foundation
import STANAG5066
import TestSupport
import Testing

/// Inputs that once broke a property of the reader of SIS primitives, and the seeds from which the fuzzer starts.
///
/// `SISProperties.swift` is a link to the fuzz entry's own file: both check the same.
struct SISFuzzRegressionTests {
    @Test(arguments: FuzzInputs.all(of: "FuzzSIS"))
    func `What the fuzzer knows holds`(file: URL) throws {
        #expect(SISProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    @Test(arguments: FuzzInputs.files(.corpus, of: "FuzzSIS"))
    func `A seed has something to read for each reader`(file: URL) throws {
        let input = Array(try Data(contentsOf: file))
        let kind = try #require(input.first)
        let outcome = SISProperties.outcome(of: [input.dropFirst()], kind & 1 == 0 ? .client : .node)
        #expect(outcome.failure == nil)
        #expect(!outcome.events.isEmpty)
    }

    @Test func `There are inputs to start from`() {
        #expect(FuzzInputs.files(.corpus, of: "FuzzSIS").count >= 10)
    }
}
