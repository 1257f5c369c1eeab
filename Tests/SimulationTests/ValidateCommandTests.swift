import Foundation
import Testing

/// What scripts rely on: the exit code, and the names of the rows.
@Suite struct ValidateCommandTests {
    private static func validate(_ arguments: String...) throws -> (status: Int32, lines: [String]) {
        let result = try SimulatorTool.run(["validate"] + arguments)
        return (result.status, String(decoding: result.output, as: UTF8.self).components(separatedBy: "\n"))
    }

    @Test func `with every row in place it exits with 0`() throws {
        let (status, lines) = try Self.validate("V8", "V1")
        #expect(status == 0)
        #expect(lines.contains("all rows pass") && !lines.contains { $0.contains("FAIL") })
        #expect(lines.count { $0.hasSuffix(" pass") } == 15 + 1, "eleven rows, four, and the last line")
        #expect(lines.contains { $0.hasPrefix("V1  ") } && !lines.contains { $0.hasPrefix("V2  ") })
    }

    @Test func `a row that fails is named, and the exit code is 1`() throws {
        // No measured figure is quite the one that is known.
        let (status, lines) = try Self.validate("V8", "--tolerance", "0")
        #expect(status == 1)
        let start = try #require(lines.firstIndex { $0.hasSuffix(" rows FAIL") })
        #expect(lines[start] == "4 rows FAIL")
        let named = lines[(start + 1)...].filter { !$0.isEmpty }
        #expect(named.count == 4)
        #expect(named.contains("    V8  1200 S, segments of 684, turnaround 2000 ms"))
        for name in named {
            let row = String(name.dropFirst("    V8  ".count))
            #expect(lines[..<start].contains { $0.contains(row) && $0.contains("FAIL: ") }, "\(row)")
        }
    }

    @Test func `a row that is not where real nodes are is named, and is no failure where the documentation says why`() throws {
        let (status, lines) = try Self.validate("V2")
        #expect(status == 0)
        let start = try #require(lines.firstIndex { $0.hasPrefix("1 rows MISS ") })
        #expect(lines[start + 1] == "    V2  2400 S, turnaround 500 ms, cold")
        #expect(lines.contains { $0.contains("MISS: 5.90 s is outside") && $0.contains(" 6–20 ") })
        #expect(lines.contains("all other rows pass") && !lines.contains { $0.contains("FAIL") })
    }

    @Test func `what passes beside a row that fails does not hide it`() throws {
        let (status, lines) = try Self.validate("V8", "--tolerance", "0.3")
        let failed = lines.count { $0.contains("FAIL: ") }
        let passed = lines.count { $0.hasSuffix(" pass") }
        #expect(status == 1 && failed > 0 && passed > 0 && failed + passed == 4)
        #expect(lines.contains("\(failed) rows FAIL"))
    }

    @Test(arguments: [["V4"], ["--tolerance=-1"], ["--tolerance=nan"]])
    func `what it does not know is no validation`(_ arguments: [String]) throws {
        let result = try SimulatorTool.run(["validate"] + arguments)
        #expect(result.status == 64 && result.output.isEmpty)
    }
}
