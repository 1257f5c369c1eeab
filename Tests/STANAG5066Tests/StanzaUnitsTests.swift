import STANAG5066
import TestSupport
import Testing
import XMPP

/// Stanzas as units, and what becomes of each.
@Suite struct StanzaUnitsTests {
    private func message(_ body: String) throws -> Stanza {
        try StanzaText.read("<message from='a@ship.example' to='b@shore.example'><body>\(body)</body></message>")
    }

    @Test func `a batch is handed over one by one, and every stanza ends once`() throws {
        let stanzas = try (0..<4).map { try message("\($0)") }
        var units = StanzaUnits()
        units.batchTaken(stanzas)
        #expect(units.next(token: 7)?.stanza == stanzas[0])
        #expect(units.next(token: 8)?.stanza == stanzas[1])
        #expect(!units.isBatchOver && units.underWayCount == 2)
        #expect(units.finished(8) == .confirmed(stanzas[1]))
        #expect(units.finished(8) == nil && units.failed(8, .lost) == nil)
        #expect(units.next(token: 9)?.stanza == stanzas[2])
        #expect(units.next(token: 10)?.stanza == stanzas[3])
        #expect(units.isBatchOver && units.next(token: 11)?.stanza == nil)
        #expect(units.failed(7, .rejected(.timeToLiveExpired)) == .unsent(stanzas[0]))
        #expect(units.failed(9, .tooLarge) == .inDoubt(stanzas[2]))
        #expect(units.failed(10, .lost) == .unsent(stanzas[3]))
        #expect(units.underWayCount == 0)
    }

    @Test func `what the node has not got comes back apart, and a late confirmation says nothing`() throws {
        let stanzas = try (0..<3).map { try message("\($0)") }
        var units = StanzaUnits()
        units.batchTaken(stanzas)
        _ = units.next(token: 1)
        #expect(units.takeBatch() == Array(stanzas[1...]))
        #expect(units.isBatchOver && units.takeBatch().isEmpty)
        #expect(units.failed(1, .lost) == .unsent(stanzas[0]))
        // The bind has ended and another begun; the old token is not the new one's.
        units.batchTaken(stanzas)
        _ = units.next(token: 2)
        #expect(units.finished(1) == nil)
        #expect(units.finished(2) == .confirmed(stanzas[0]))
    }

    @Test func `what is urgent does not overtake what is under way between the same addresses`() throws {
        let first = try message("first")
        let urgent = try message("urgent")
        let other = try StanzaText.read("<message from='c@ship.example' to='b@shore.example'><body>urgent</body></message>")
        var units = StanzaUnits()
        units.batchTaken([first, urgent, other, other, urgent])
        let isUrgent = { (stanza: Stanza) in stanza != first }
        #expect(units.next(token: 1, isUrgent: isUrgent)?.isUrgent == false)
        #expect(units.next(token: 2, isUrgent: isUrgent)?.isUrgent == false)
        #expect(units.next(token: 3, isUrgent: isUrgent)?.isUrgent == true)
        #expect(units.next(token: 4, isUrgent: isUrgent)?.isUrgent == true, "one urgent one may follow another")
        _ = units.finished(1)
        _ = units.finished(2)
        #expect(units.next(token: 5, isUrgent: isUrgent)?.isUrgent == true)
    }

    @Test func `an urgent batch goes before what is left of the other, and comes back before it`() throws {
        let stanzas = try (0..<3).map { try message("\($0)") }
        let urgent = try (0..<3).map {
            try StanzaText.read("<message from='c@ship.example' to='b@shore.example'><body>\($0)</body></message>")
        }
        var units = StanzaUnits()
        units.batchTaken(stanzas)
        #expect(units.next(token: 1)?.stanza == stanzas[0])
        #expect(units.nextUrgent(token: 2) == nil)
        units.urgentBatchTaken(urgent)
        #expect(!units.isUrgentBatchOver && !units.isBatchOver)
        let first = units.nextUrgent(token: 2)
        #expect(first?.stanza == urgent[0] && first?.isUrgent == true)
        // Room for anything is room for what is urgent.
        #expect(units.next(token: 3)?.stanza == urgent[1])
        #expect(units.takeBatch() == [urgent[2], stanzas[1], stanzas[2]])
        #expect(units.isBatchOver && units.isUrgentBatchOver && units.underWayCount == 3)
    }
}
