import NIOCore
import SampleTraffic
import Testing
import TrafficRecording
import XMPP

@Suite struct SampleTrafficTests {
    private func stanzas(_ texts: [String]) -> [Stanza] {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        var bytes = ByteBuffer(string: texts.joined())
        reader.read(&bytes)
        var stanzas: [Stanza] = []
        while let event = reader.nextEvent() {
            if case .stanza(let stanza) = event { stanzas.append(stanza) }
        }
        return stanzas
    }

    @Test func `equal seeds give equal traffic, other seeds other traffic`() {
        var first = TrafficGenerator(seed: 7)
        var second = TrafficGenerator(seed: 7)
        var third = TrafficGenerator(seed: 8)
        let traffic = first.next(200).map(\.xml)
        #expect(traffic == second.next(200).map(\.xml))
        #expect(traffic != third.next(200).map(\.xml))
    }

    @Test func `every text is one stanza between the two sites`() throws {
        var generator = TrafficGenerator(seed: 1, local: "a.example", remote: "b.example")
        let traffic = generator.next(3_000)
        let parsed = stanzas(traffic.map(\.xml))
        #expect(parsed.count == traffic.count)
        let remote = try #require(Domain("b.example"))
        for (sample, stanza) in zip(traffic, parsed) {
            let kind: StanzaKind =
                switch sample.kind {
                case .chat, .receipt, .chatMarker, .chatState, .groupchat: .message
                case .presence, .unavailable, .roomPresence: .presence
                case .iq: .iq
                }
            #expect(stanza.kind == kind && stanza.from != nil && stanza.toDomainEquals(remote))
        }
        #expect(Set(traffic.map(\.kind)).count == SampleKind.allCases.count)
    }

    @Test func `ids differ, bodies hardly ever repeat, and stanzas are about 305 bytes long`() {
        var generator = TrafficGenerator(seed: 2)
        let traffic = generator.next(10_000)
        let average = traffic.reduce(0) { $0 + $1.xml.utf8.count } / traffic.count
        #expect((290...320).contains(average))
        let parsed = stanzas(traffic.map(\.xml))
        #expect(Set(parsed.compactMap(\.id)).count == parsed.count)
        let bodies = parsed.compactMap { $0.root.firstChild("body", XMLNamespace.server)?.text }
        #expect(bodies.count > 3_000)
        #expect(Set(bodies).count > bodies.count * 97 / 100)
    }
}
