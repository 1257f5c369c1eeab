import Foundation
import Testing

/// Inputs that once broke a property of the local side, and the seeds from which the fuzzer starts.
///
/// `DialbackProperties.swift` is a link to the fuzz entry's own file: both check the same.
@Suite struct FuzzRegressionTests {
    private static let fuzz = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fuzz")

    static func inputs(_ folder: String) -> [URL] {
        let directory = fuzz.appendingPathComponent(folder).appendingPathComponent("FuzzDialback")
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    @Test("What the fuzzer knows holds", arguments: inputs("Corpus") + inputs("Regressions"))
    func replay(_ file: URL) throws {
        #expect(DialbackProperties.check(Array(try Data(contentsOf: file))).violation == nil)
    }

    @Test("The seeds lead to stanzas that are taken, so the fuzzer starts where it matters")
    func seeds() throws {
        for name in ["dialback", "external", "component", "multiplexed"] {
            let file = Self.fuzz.appendingPathComponent("Corpus/FuzzDialback/\(name)")
            #expect(DialbackProperties.check(Array(try Data(contentsOf: file))).received > 0, "\(name)")
        }
    }
}
