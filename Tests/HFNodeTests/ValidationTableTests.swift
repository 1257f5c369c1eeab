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

    @Test func `a short message on a new link takes as long as published, but for the quickest turns at 2400`() throws {
        let rows = ValidationRow.latencies.filter { $0.span == ValidationRow.messageSeconds }
        #expect(rows.count == 8, "four rates from 300 to 2400, with the short interleaver, at two turnarounds")
        #expect(rows.allSatisfy { $0.measure == .coldLatency })
        let outside = rows.map { (name: $0.name, seconds: $0.measured()) }.filter { !(6...20).contains($0.seconds) }
        #expect(outside.map(\.name) == ["2400 S, turnaround 500 ms, cold"])
        let row = try #require(outside.first)
        #expect(abs(row.seconds - 5.9) < 0.005, "0.1 s less than the least that is typical")
        // A tenth more for both turns, and it is within.
        var form = try #require(rows.first { $0.name == row.name }).form
        form.turnaround = .milliseconds(550)
        #expect(LinkMeasurement.latency(form).cold >= 6)
    }

    @Test func `what begins with nine questions and answers is no good over HF`() {
        let rows = ValidationRow.latencies.filter { $0.measure == .exchanges(9) }
        #expect(rows.count == 2)
        for row in rows {
            let measured = row.measured()
            #expect(measured > 45, "\(row.name)")
            #expect(abs(measured - row.expected) < 0.1, "\(row.name): \(measured), \(row.expected)")
        }
    }

    @Test func `the tolerances are those that are printed`() {
        for row in ValidationRow.latencies {
            #expect(row.tolerance == 1 && row.simulationTolerance == 1, "\(row.name)")
            if let known = row.known { #expect(abs(row.comparable - known) <= 1, "\(row.name): \(row.comparable)") }
        }
    }

    @Test func `a row that leaves its span fails, and one that no longer misses it`() throws {
        var row = try #require(ValidationRow.latencies.first { $0.span != nil && !$0.isMissKnown })
        let measured = row.measured()
        #expect(row.disagreement(measured: measured) == nil)
        row.span = measured + 0.1...measured + 1
        #expect(row.disagreement(measured: measured)?.contains("outside") == true)
        row.isMissKnown = true
        #expect(row.disagreement(measured: measured) == nil)
        row.span = measured - 1...measured + 1
        #expect(row.disagreement(measured: measured)?.contains("within") == true)
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
