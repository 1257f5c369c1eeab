import HFNode
import NIOCore
import Testing

struct ValidationTableTests {
    @Test(arguments: ValidationRow.cleanChannel) func `a clean channel is used as by the published nodes`(_ row: ValidationRow) {
        check(row)
    }

    @Test(arguments: ValidationRow.turnarounds) func `turnarounds cost what they should`(_ row: ValidationRow) {
        check(row)
    }

    @Test(arguments: ValidationRow.wideband) func `the window limits wideband links`(_ row: ValidationRow) {
        check(row)
    }

    @Test(arguments: ValidationRow.latencies) func `small units arrive in time, with a link and without`(_ row: ValidationRow) {
        check(row)
    }

    @Test func `cycles last as long as worked out`() {
        // In the order of the table; the last but three have windows that are full of frames of 684 and less.
        let cycles = [nil, 118.8, 132.0, 131.4, 146.4, 131.4, 108.0, 77.8, 86.7, 89.0, 122.9]
        for (row, cycle) in zip(ValidationRow.cleanChannel, cycles) {
            guard let cycle else { continue }
            #expect(abs(row.form.bulk.cycle - cycle) < 0.02 * cycle, "\(row.name): \(row.form.bulk.cycle)")
        }
    }

    @Test func `a row fails when nodes or closed form are too far off, and says which`() throws {
        let row = try #require(ValidationRow.turnarounds.first)
        let expected = row.expected
        #expect(row.disagreement(measured: expected + 0.9 * row.simulationTolerance) == nil)
        let off = try #require(row.disagreement(measured: expected + 1.1 * row.simulationTolerance))
        #expect(off.hasPrefix("the nodes do "))
        #expect(row.disagreement(measured: expected + 0.9 * row.simulationTolerance, tolerated: 0.5) != nil)
        #expect(row.disagreement(measured: expected + 1.1 * row.simulationTolerance, tolerated: 2) == nil)
        #expect(row.disagreement(measured: expected, tolerated: 0)?.hasPrefix("the closed form says ") == true)
    }

    private func check(_ row: ValidationRow) {
        let measured = row.measured()
        let disagreement = row.disagreement(measured: measured)
        #expect(disagreement == nil, "\(row.name)")
    }
}
