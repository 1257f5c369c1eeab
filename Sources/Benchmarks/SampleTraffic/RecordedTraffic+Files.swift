import Foundation
package import TrafficRecording

extension RecordedTraffic {
    // Such files are for measuring only and not part of this project: they are used when they stand in `../shared/traffic`
    // beside the package, and their absence is no fault.

    /// All recordings beside the package, in the order of their names; empty when there are none.
    package static func besidePackage(file: String = #filePath) -> [RecordedTraffic] {
        // Sources/Benchmarks/SampleTraffic/<this file>
        let package = (0..<4).reduce(URL(fileURLWithPath: file)) { url, _ in url.deletingLastPathComponent() }
        let directory = package.deletingLastPathComponent().appendingPathComponent("shared/traffic")
        let files = (try? FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)) ?? []
        return files.filter { $0.pathExtension == "xml" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .compactMap { url in
                guard let data = try? Data(contentsOf: url) else { return nil }
                return try? RecordedTraffic(
                    name: url.deletingPathExtension().lastPathComponent, document: Array(data))
            }
    }
}
