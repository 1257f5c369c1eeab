import Foundation
import TestSupport
import Testing

/// `skywave-sim` as an operator runs it.
enum SimulatorTool {
    struct Result {
        var status: Int32
        var output: Data
    }

    /// Runs it to its end.
    static func run(_ arguments: [String]) throws -> Result {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        // Swift Testing runs either the test bundle or a helper of the toolchain that loads it.
        let candidates = [own] + CommandLine.arguments
        let tool = candidates.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path + "/skywave-sim" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        let process = ChildProcess.make(try #require(tool, "skywave-sim is built beside the tests"), arguments)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(status: process.terminationStatus, output: data)
    }
}
