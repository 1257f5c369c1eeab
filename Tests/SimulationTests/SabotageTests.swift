import LinkSimulator
import Testing

/// The checks can fail: each way in which a bridge can be broken is found, and found as what it is.
@Suite struct SabotageTests {
    /// What is broken, what the checks must say of it, and a seed before which looking for it is a waste of time.
    static let expected: [(sabotage: Sabotage, sentence: String, first: UInt64)] = [
        (.acknowledgesBeforeCommit, "was lost", 62), (.dropsStanza, "was lost", 1),
        (.duplicatesStanza, "was delivered twice without any stream having died", 1),
        (.swapsStanzas, "arrived after number", 1), (.garblesMessage, "arrived with another text", 1),
        (.bouncesIntoRoom, "an error reached the room", 3), (.dropsAnswer, "was never answered", 1),
        (.answersTwice, "was answered twice", 1), (.keepsInbox, "rows of inbox stay", 1),
        (.keepsOutbox, "rows of outbox stay", 1), (.forgetsJournal, "was lost", 3),
        (.damagesHistory, "the histories of the link", 1), (.dropsRoomPresence, "in room", 9),
        (.losesRestored, "was lost although the restored journal holds it", 1127),
    ]

    @Test("A broken bridge is caught", arguments: expected)
    func caught(sabotage: Sabotage, sentence: String, first: UInt64) {
        for seed in first..<first + 400 {
            let failures = Simulation(seed: seed, sabotage: sabotage).run().failures
            guard failures.contains(where: { $0.contains(sentence) }) else { continue }
            // It is the sabotage that is found.
            #expect(Simulation(seed: seed).run().failures.isEmpty, "seed \(seed)")
            return
        }
        Issue.record("not caught in 400 seeds")
    }

    @Test("Every sabotage has a test")
    func complete() {
        #expect(Self.expected.map(\.sabotage) == Sabotage.allCases)
    }
}
