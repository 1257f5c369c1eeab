import Foundation
import FoundationXML
import NIOCore
import SampleTraffic
import TestSupport
import Testing
import XMPP

/// Our reader beside libxml2, which parses for half of the world: whatever we let through must mean the same to both.
@Suite struct DifferentialTests {
    private static let root = "<s xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>"

    /// The infoset of a document as libxml2 sees it; `nil` where it refuses the document.
    private func infoset(_ xml: String) -> [String]? {
        let recorder = InfosetRecorder()
        let parser = XMLParser(data: Data((Self.root + xml + "</s>").utf8))
        parser.shouldProcessNamespaces = true
        parser.shouldReportNamespacePrefixes = true
        parser.delegate = recorder
        return parser.parse() ? recorder.lines : nil
    }

    /// What the reader makes of the input: canonical stanzas, or `nil` where it refuses anything.
    private func accepted(_ bytes: [UInt8]) -> String? {
        var text = ""
        for event in events(of: [bytes + Array("</stream:stream>".utf8)]) {
            switch event {
            case .stanza(let stanza): text += stanza.text
            case .opened, .oversize, .failed: return nil
            case .closed: return text
            }
        }
        return nil
    }

    @Test(arguments: CanonicalFormTests.fixtures) func `peers d14: libxml2 reads the same in what came and what leaves`(
        _ fixture: CanonicalFixture
    ) throws {
        let before = try #require(infoset(fixture.input))
        #expect(before == infoset(fixture.expected))
        #expect(before.contains { $0.hasPrefix("{jabber:server}") }, "the recorder sees elements")
    }

    @Test(arguments: 0..<4 as Range<UInt64>) func `peers d14: what passes after random damage means the same to libxml2`(
        _ seed: UInt64
    ) throws {
        var generator = TrafficGenerator(seed: seed)
        var random = SeededGenerator(seed: seed)
        let spice = Array("<>&'\"/:= ]!?-x;#\u{0}\t\r\n".utf8) + [0x80, 0xc3, 0xa9, 0xed, 0xa0, 0xff]
        var passed = 0
        for _ in 0..<4_000 {
            var bytes = Array(generator.next().xml.utf8)
            for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
                let place = bytes.indices.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = spice.randomElement(using: &random) ?? 0
                case 1: bytes.insert(spice.randomElement(using: &random) ?? 0, at: place)
                case 2: bytes.remove(at: place)
                default:
                    let end = min(bytes.count, place + Int.random(in: 1...24, using: &random))
                    bytes.insert(contentsOf: bytes[place..<end], at: place)
                }
            }
            guard let canonical = accepted(bytes) else { continue }
            passed += 1
            let input = String(decoding: bytes, as: UTF8.self)
            let before = try #require(infoset(input), "libxml2 refuses what we took: \(input)")
            let after = try #require(infoset(canonical), "libxml2 refuses what we wrote: \(canonical)")
            try #require(before == after, "seed \(seed): \(input)")
            try #require(accepted(Array(canonical.utf8)) == canonical, "not a fixed point: \(canonical)")
        }
        #expect(passed > 400, "the damage left too little to compare")
    }
}

/// Writes down elements, attributes and text, with what the bridge changes on purpose taken out: case of addresses.
private final class InfosetRecorder: NSObject, XMLParserDelegate {
    var lines: [String] = []
    private var text = ""
    private var depth = 0
    private var prefixes: [String: [String]] = [:]

    func parser(_ parser: XMLParser, didStartMappingPrefix prefix: String, toURI namespaceURI: String) {
        self.prefixes[prefix, default: []].append(namespaceURI)
    }

    func parser(_ parser: XMLParser, didEndMappingPrefix prefix: String) {
        self.prefixes[prefix]?.removeLast()
    }

    func parser(
        _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?, qualifiedName qName: String?,
        attributes attributeDict: [String: String] = [:]
    ) {
        self.flush()
        self.depth += 1
        var attributes: [String] = []
        for (name, value) in attributeDict {
            // Folding of case and of a final dot is the bridge's duty.
            if self.depth == 2, name == "to" || name == "from" { continue }
            let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, parts[0] != "xml" {
                attributes.append("{\(self.prefixes[String(parts[0])]?.last ?? "?")}\(parts[1])=\(value)")
            } else {
                attributes.append("\(name)=\(value)")
            }
        }
        self.lines.append("{\(namespaceURI ?? "")}\(elementName) \(attributes.sorted())")
    }

    func parser(_ parser: XMLParser, didEndElement elementName: String, namespaceURI: String?, qualifiedName qName: String?) {
        self.flush()
        self.depth -= 1
        self.lines.append("end")
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
        self.text += string
    }

    func parser(_ parser: XMLParser, foundCDATA CDATABlock: Data) {
        self.text += String(decoding: CDATABlock, as: UTF8.self)
    }

    private func flush() {
        // White space between stanzas is nothing.
        if !self.text.isEmpty, self.depth > 1 { self.lines.append("text \(self.text.debugDescription)") }
        self.text = ""
    }
}
