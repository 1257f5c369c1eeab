import Foundation
import Testing

/// Inputs that once broke a property of the link reader, and the seeds from which the fuzzer starts.
///
/// `LinkReaderProperties.swift` is a link to the fuzz entry's own file: both check the same.
@Suite struct FuzzRegressionTests {
    private static let fuzz = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz")

    static func inputs(_ folder: String) -> [URL] {
        let directory = fuzz.appendingPathComponent(folder).appendingPathComponent("FuzzLinkReader")
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test(arguments: inputs("Corpus") + inputs("Regressions"))
    func `what the fuzzer knows holds`(_ file: URL) throws {
        #expect(LinkReaderProperties.violation(in: Array(try Data(contentsOf: file))) == nil)
    }

    @Test func `there are inputs to start from`() {
        #expect(Self.inputs("Corpus").count >= 10)
    }
}
