import ServerStreams
import Testing
import XMPP

/// At each moment exactly one side is responsible for a stanza, whatever dies when.
@Suite struct ResponsibilityTests {
    @Test(
        "Every ticket is settled once, in order, and lost or doubled is only what the server's kind makes so",
        arguments: ReadingServer.Habit.allCases, 0..<12 as Range<UInt64>)
    func towardsTheServer(_ habit: ReadingServer.Habit, _ seed: UInt64) {
        let bad: Set<Int> = seed % 3 == 0 ? [7, 8, 31] : []
        var server = ReadingServer(habit, bad: bad, seed: seed)
        for _ in 0..<3_000 { server.step(mayDie: true) }
        var patience = 60_000
        while !server.isAtRest, patience > 0 {
            server.step(mayDie: false)
            patience -= 1
        }
        let (sent, reports, isAtRest) = (server.sent, server.reports, server.isAtRest)
        #expect(isAtRest, "\(sent - reports.count) of \(sent) tickets were never settled")
        #expect(reports.values.allSatisfy { $0 == 1 }, "settled twice")
        // The kernel may still hold what it took.
        for _ in 0..<5_000 { server.step(mayDie: false) }
        let (read, disorder, swallowed, givenBack) = (server.read, server.disorder, server.swallowed, server.givenBack)
        #expect(sent > 100)
        #expect(disorder == [])
        #expect(Set(givenBack).isSubset(of: bad))
        var first: [Int] = []
        var seen: Set<Int> = []
        for id in read where seen.insert(id).inserted { first.append(id) }
        for pair in 0..<3 {
            let ids = first.filter { ReadingServer.pair($0) == pair }
            #expect(ids == ids.sorted(), "the order of a pair")
        }
        let missing = Set(1...sent).subtracting(seen).subtracting(bad)
        let doubled = read.count - seen.count
        let inDoubt = server.side.side.snapshot.stanzasInDoubt
        switch habit {
        case .acknowledges:
            #expect(missing == [])
            #expect(doubled <= inDoubt)
            #expect(Set(givenBack) == bad)
        case .refuses, .offersNothing:
            #expect(missing.count <= swallowed)
            #expect(doubled <= inDoubt)
            if habit == .offersNothing { #expect(doubled == 0) }
        case .changesItsMind:
            #expect(missing.count <= swallowed)
            #expect(doubled <= inDoubt)
        }
    }

    @Test(
        "What the server sends again after any death reaches the core once, and no count runs ahead of the core",
        arguments: 0..<24 as Range<UInt64>)
    func fromTheServer(_ seed: UInt64) {
        var server = ResendingServer(seed: seed)
        for _ in 0..<3_000 { server.step(mayDie: true) }
        var patience = 60_000
        while !server.isAtRest, patience > 0 {
            server.step(mayDie: false)
            patience -= 1
        }
        let (isAtRest, taken, sent, problems) = (server.isAtRest, server.taken, server.sent, server.problems)
        #expect(isAtRest)
        #expect(problems == [])
        #expect(sent > 100)
        let (deaths, repeats) = (server.deaths, server.allRepeats)
        #expect(deaths > 20)
        #expect(repeats > 0, "nothing came twice, so nothing was tested")
        #expect(taken.sorted() == Array(1...max(sent, 1)))
    }
}
