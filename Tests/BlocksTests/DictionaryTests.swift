import Blocks
import NIOCore
import SampleTraffic
import TestSupport
import Testing
import XMPP

/// Preset dictionaries: what goes into them, and what must not.
@Suite struct DictionaryTests {
    private func sample(seed: UInt64, _ count: Int = 1_500) -> [Stanza] {
        var generator = TrafficGenerator(seed: seed)
        return stanzas(generator.next(count).map(\.xml).joined())
    }

    private func train(_ stanzas: [Stanza]) -> ByteBuffer {
        var trainer = DictionaryTrainer()
        for stanza in stanzas { trainer.add(stanza) }
        return trainer.dictionary()
    }

    @Test func `a first block is smaller with a dictionary of other traffic`() throws {
        let dictionary = train(sample(seed: 1))
        #expect(dictionary.readableBytes > 1_000)
        for count in [1, 16] {
            let sent = Array(sample(seed: 2, 64).prefix(count))
            let without = CodecPair(level: 9)
            let with = CodecPair(level: 9, history: dictionary)
            #expect(try without.carry(sent) == sent)
            #expect(try with.carry(sent) == sent)
            #expect(with.bodyBytes * 100 < without.bodyBytes * 92)
        }
    }

    @Test func `the release's own dictionary makes a first block smaller, and never changes`() throws {
        let standard = BlockDictionary.standard
        #expect(standard.text.readableBytes > 1_000 && standard.text.readableBytes <= 16_384)
        #expect(String(buffer: standard.text).contains("urn:xmpp:receipts"))
        let sent = stanzas(
            "<message to='juliet@shore.example/b' from='romeo@ship.example/a' type='chat' id='4a17c9e2' xml:lang='en'>"
                + "<body>Is anybody there?</body><request xmlns='urn:xmpp:receipts'/></message>"
                + "<presence to='juliet@shore.example' from='romeo@ship.example/a'><show>away</show></presence>")
        let without = CodecPair(level: 9)
        let with = CodecPair(level: 9, history: standard.text)
        #expect(try without.carry(sent) == sent)
        #expect(try with.carry(sent) == sent)
        #expect(with.bodyBytes * 100 < without.bodyBytes * 70, "\(with.bodyBytes) of \(without.bodyBytes)")
        // Another process must make the same, whatever its hashing: this is what it was.
        #expect(standard.id == 16_657_023_124_324_106_429)
    }

    @Test func `the same stanzas give the same bytes, and their order hardly counts`() {
        let stanzas = sample(seed: 3)
        #expect(train(stanzas) == train(stanzas))
        // Ids that were seen lately have another mark, so only stanzas without any may change places.
        let plain = stanzas.filter { $0.id == nil || $0.kind == .presence }
        #expect(train(plain) == train(plain.reversed()))
        #expect(String(buffer: train(stanzas)).contains("urn:xmpp:receipts"))
    }

    @Test func `no bodies, addresses, ids or hashes`() {
        // The slot's two bytes may look like anything.
        let definitions = train(sample(seed: 4, 4_000)).readableBytesView.split(separator: 0x05)
        let text = definitions.map { String(decoding: $0.dropFirst(3), as: UTF8.self) }.joined(separator: "\n")
        #expect(definitions.count > 20)
        for word in [
            "@", "ship.example", "shore.example", "anna", "boris", "desk", "watch", "bridge", "ver=", "node=", "sha1",
            "occupant-id", "by=", " the ", "Sample",
        ] { #expect(!text.contains(word), "\(word)") }
        // Nothing that looks like an id of eight characters or more.
        #expect(text.firstMatch(of: /[0-9a-f]{8}/) == nil)
    }

    @Test func `what only one person sends stays out`() {
        let own = (0..<50).flatMap { _ in
            stanzas("<message to='b@y.example' from='a@x.example'><x xmlns='urn:only:mine'/></message>")
        }
        #expect(train(own).readableBytes == 0)
        let others = stanzas("<message to='b@y.example' from='c@x.example'><x xmlns='urn:only:mine'/></message>")
        #expect(String(buffer: train(own + others)).contains("urn:only:mine"))
    }

    @Test(arguments: ["securitylabel xmlns='urn:xmpp:sec-label:0'", "ConfidentialityLabel xmlns='urn:nato:stanag:4774:confidentialitymetadatalabel:1:0'"])
    func `labelled stanzas stay out, wherever the label is`(label: String) {
        let name = label.prefix { $0 != " " }
        var trainer = DictionaryTrainer()
        for number in 0..<20 {
            for stanza in stanzas(
                "<message to='b@y.example' from='u\(number)@x.example'><f xmlns='urn:forward'><\(label)></\(name)></f></message>")
            {
                trainer.add(stanza)
            }
        }
        #expect(trainer.labelled == 20)
        #expect(trainer.stanzas == 0)
        #expect(trainer.dictionary().readableBytes == 0)
    }
}
