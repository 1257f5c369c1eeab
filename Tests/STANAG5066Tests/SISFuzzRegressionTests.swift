import Foundation
import STANAG5066
import Testing

/// Inputs that once broke a property of the reader of SIS primitives, and the seeds from which the fuzzer starts.
///
/// `SISProperties.swift` is a link to the fuzz entry's own file: both check the same.
struct SISFuzzRegressionTests {
    static func inputs(_ folder: String) -> [URL] {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz").appendingPathComponent(folder).appendingPathComponent("FuzzSIS")
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test(arguments: inputs("Corpus") + inputs("Regressions"))
    func `What the fuzzer knows holds`(file: URL) throws {
        #expect(SISProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    @Test(arguments: inputs("Corpus"))
    func `A seed has something to read for each reader`(file: URL) throws {
        let input = Array(try Data(contentsOf: file))
        let kind = try #require(input.first)
        let outcome = SISProperties.outcome(of: [input.dropFirst()], kind & 1 == 0 ? .client : .node)
        #expect(outcome.failure == nil)
        #expect(!outcome.events.isEmpty)
    }

    @Test func `There are inputs to start from`() {
        #expect(Self.inputs("Corpus").count >= 10)
    }
}
