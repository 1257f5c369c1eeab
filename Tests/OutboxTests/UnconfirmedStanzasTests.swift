import Outbox
import Testing
import XMPP

/// What a link has taken and not confirmed.
@Suite struct UnconfirmedStanzasTests {
    private func entries(_ stanzas: [Stanza], isRecorded: Bool = true) -> [OutboxEntry] {
        stanzas.enumerated().map { place, stanza in
            OutboxEntry(id: UInt64(place + 1), stanza: stanza, arrival: .seconds(place), isRecorded: isRecorded)
        }
    }

    @Test func `each stanza is taken once, in the order in which the link names them`() throws {
        let stanzas = try (0..<4).map { try message("\($0)") }
        var unconfirmed = UnconfirmedStanzas()
        unconfirmed.append(entries(stanzas))
        #expect(unconfirmed.byteCount == stanzas.map(\.byteCount).reduce(0, +))
        #expect(unconfirmed.take([stanzas[2], stanzas[0]]).map(\.id) == [3, 1])
        #expect(unconfirmed.take([stanzas[2]]).isEmpty)
        #expect(unconfirmed.count == 2)
        #expect(unconfirmed.byteCount == stanzas[1].byteCount + stanzas[3].byteCount)
        #expect(unconfirmed.removeAll().map(\.id) == [2, 4])
        #expect(unconfirmed.count == 0 && unconfirmed.byteCount == 0)
    }

    @Test func `two that say the same are two`() throws {
        let twin = try message("same")
        var unconfirmed = UnconfirmedStanzas()
        unconfirmed.append(entries([twin, try message("other"), twin]))
        #expect(unconfirmed.take([twin]).map(\.id) == [1])
        #expect(unconfirmed.take([twin, twin]).map(\.id) == [3])
        #expect(unconfirmed.count == 1)
    }

    @Test func `what had no row is told once`() throws {
        var unconfirmed = UnconfirmedStanzas()
        unconfirmed.append(entries([try presence("away")], isRecorded: false))
        #expect(unconfirmed.recordAll().map(\.id) == [1])
        #expect(unconfirmed.recordAll().isEmpty)
        #expect(unconfirmed[0].isRecorded)
    }
}
