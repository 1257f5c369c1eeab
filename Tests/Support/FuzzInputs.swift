package import Foundation

/// Inputs of a fuzz entry, for tests that hold what the fuzzer holds.
package enum FuzzInputs {
    package enum Folder: String {
        /// Seeds from which the fuzzer starts.
        case corpus = "Corpus"
        /// What once broke a property.
        case regressions = "Regressions"
    }

    /// All files in a folder of an entry, by name; none if there is no such folder.
    package static func files(_ folder: Folder, of entry: String) -> [URL] {
        let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fuzz/\(folder.rawValue)/\(entry)")
        let files = try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
        return (files ?? []).sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    /// Both folders of an entry.
    package static func all(of entry: String) -> [URL] { files(.corpus, of: entry) + files(.regressions, of: entry) }

    /// A short run of what the fuzzer does: inputs that are nearly `seed`, with bytes changed, left out and put in.
    ///
    /// - Parameter inserted: what is put in.
    package static func near(_ seed: [UInt8], count: Int, inserted: Range<UInt8>) -> [[UInt8]] {
        var random = SeededGenerator(seed: UInt64(seed.count))
        return (0..<count).map { _ in
            var input = seed
            for _ in 0..<Int.random(in: 1..<6, using: &random) where !input.isEmpty {
                let place = Int.random(in: 0..<input.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: input[place] = UInt8.random(in: 0...255, using: &random)
                case 1: input.remove(at: place)
                default: input.insert(UInt8.random(in: inserted, using: &random), at: place)
                }
            }
            return input
        }
    }
}
