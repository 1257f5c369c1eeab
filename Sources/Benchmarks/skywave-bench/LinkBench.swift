import Blocks
import Foundation
import NIOCore
import SampleTraffic
import XMPP

/// Bytes on a Skywave link, headers included, of what people do: at level 9, one stanza per block unless said otherwise.
///
/// A site of eight people, so that they write to each other again and again as people do.
enum LinkBench {
    private static let people = 8
    private static let measured = 40

    static func run() {
        let warmUp = stanzas(seed: 11, 2_000)
        let pair = warm(warmUp)
        report("link-message-40", mean(messages().map { pair.send([$0]) }), "bytes")
        report("link-presence-change", mean(presences().map { pair.send([$0]) }), "bytes")
        report("link-acknowledgement", Double(pair.acknowledgementBytes), "bytes", .atMost(8))
        reconnect(warmUp)
        firstContact(warmUp)
    }

    /// The first block after a reconnect beside the same block on the link that stayed, opening included and not.
    private static func reconnect(_ warmUp: [Stanza]) {
        for batch in [64, 1] {
            var kept: [Int] = []
            var again: [Int] = []
            var opening = 0
            let traffic = stanzas(seed: 12, 20 * 128)
            let staying = warm(warmUp)
            let breaking = warm(warmUp)
            for place in stride(from: 0, to: traffic.count, by: 128) {
                let part = traffic[place..<place + batch]
                kept.append(staying.send(part))
                breaking.connect()
                again.append(breaking.send(part))
                opening = breaking.openingBytes
                for rest in [traffic[(place + batch)..<place + 128]] {
                    _ = staying.send(rest)
                    _ = breaking.send(rest)
                }
            }
            let name = "link-reconnect-\(batch)"
            report("\(name)-warm", mean(kept), "bytes")
            report("\(name)-first", mean(again), "bytes")
            report("\(name)-opening", Double(opening), "bytes")
            report("\(name)-ratio", mean(again) / mean(kept), "x", batch == 64 ? .atMost(1.05) : nil)
            report("\(name)-ratio-without-opening", mean(again.map { $0 - opening }) / mean(kept), "x", .atMost(1.05))
        }
    }

    /// The very first block, without anything and with a dictionary that was trained on other traffic of other people.
    private static func firstContact(_ warmUp: [Stanza]) {
        var trainer = DictionaryTrainer()
        var generator = TrafficGenerator(seed: 99, local: "north.example", remote: "south.example")
        for stanza in parse(generator.next(5_000).map(\.xml)) { trainer.add(stanza) }
        let text = trainer.dictionary()
        report("link-dictionary", Double(text.readableBytes), "bytes")
        for batch in [1, 64] {
            for dictionary in [nil, BlockDictionary(id: 1, text: text)] {
                let name = "link-first-contact-\(batch)\(dictionary == nil ? "" : "-dictionary")"
                let sizes = stride(from: 0, to: 640, by: 64).map {
                    LinkPair(dictionary: dictionary).send(warmUp[$0..<$0 + batch])
                }
                report(name, mean(sizes), "bytes")
            }
        }
    }

    private static func warm(_ stanzas: [Stanza]) -> LinkPair {
        let pair = LinkPair()
        for place in stride(from: 0, to: stanzas.count, by: 8) { _ = pair.send(stanzas[place..<min(place + 8, stanzas.count)]) }
        return pair
    }

    private static func stanzas(seed: UInt64, _ count: Int) -> [Stanza] {
        var generator = TrafficGenerator(seed: seed, people: people)
        return parse(generator.next(count).map(\.xml))
    }

    /// Messages of the usual shape with bodies of forty characters, from and to people who have written before.
    private static func messages() -> [Stanza] {
        var generator = TrafficGenerator(seed: 13, people: people)
        var words = ""
        var templates: [String] = []
        while templates.count < measured || words.count < 40 * measured {
            let next = generator.next()
            guard next.kind == .chat, !next.xml.contains("xhtml"), let start = next.xml.range(of: "<body>"),
                let end = next.xml.range(of: "</body>")
            else { continue }
            words += next.xml[start.upperBound..<end.lowerBound].filter { $0.isASCII && $0 != "&" && $0 != ";" } + " "
            if templates.count < measured {
                templates.append(next.xml.replacingCharacters(in: start.upperBound..<end.lowerBound, with: "@BODY@"))
            }
        }
        return parse(
            templates.map { template in
                defer { words.removeFirst(40) }
                return template.replacing("@BODY@", with: words.prefix(40))
            })
    }

    private static func presences() -> [Stanza] {
        var generator = TrafficGenerator(seed: 14, people: people)
        var found: [String] = []
        while found.count < measured {
            let next = generator.next()
            if next.kind == .presence { found.append(next.xml) }
        }
        return parse(found)
    }

    private static func parse(_ xml: [String]) -> [Stanza] {
        let reader = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
        return xml.compactMap {
            var bytes = ByteBuffer(string: $0)
            reader.read(&bytes)
            guard case .stanza(let stanza)? = reader.nextEvent() else { return nil }
            return stanza
        }
    }

    private static func mean(_ values: [Int]) -> Double { Double(values.reduce(0, +)) / Double(max(values.count, 1)) }
}
