import Foundation
import TestSupport
import Testing

/// Inputs that once broke a property of the local side, and the seeds from which the fuzzer starts.
///
/// `DialbackProperties.swift` is a link to the fuzz entry's own file: both check the same.
@Suite struct FuzzRegressionTests {
    @Test("What the fuzzer knows holds", arguments: FuzzInputs.all(of: "FuzzDialback"))
    func replay(_ file: URL) throws {
        #expect(DialbackProperties.check(Array(try Data(contentsOf: file))).violation == nil)
    }

    @Test("The seeds lead to stanzas that are taken, so the fuzzer starts where it matters")
    func seeds() throws {
        let seeds = FuzzInputs.files(.corpus, of: "FuzzDialback")
        for name in ["dialback", "external", "component", "multiplexed"] {
            let file = try #require(seeds.first { $0.lastPathComponent == name })
            #expect(DialbackProperties.check(Array(try Data(contentsOf: file))).received > 0, "\(name)")
        }
    }
}
