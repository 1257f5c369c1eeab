import ConfigurationText
import Foundation
import Profiles
import Testing
import XMPP

/// docs/profiles.md says what the code does.
@Suite("The reference of the profile language") struct ReferenceTests {
    private static let text: String = {
        let file = Shipped.directory.deletingLastPathComponent().appendingPathComponent("docs/profiles.md")
        return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    }()

    private static func words(_ role: PayloadRole) -> String {
        switch role {
        case .kept: "always kept"
        case .meaning: "meaning"
        case .extra: "may go"
        case .metadata: "may go quietly"
        case .companion: "says nothing alone"
        }
    }

    /// The rows of the vocabulary's table, one for each short name.
    static let vocabulary: [String] = PayloadVocabulary.all.map { payload in
        var elements: [String] = []
        for element in payload.elements {
            if let last = elements.last, last.hasSuffix(" in `\(element.namespace)`") {
                elements[elements.count - 1] = last.replacing(
                    " in `\(element.namespace)`", with: ", `\(element.local)` in `\(element.namespace)`")
            } else {
                elements.append("`\(element.local)` in `\(element.namespace)`")
            }
        }
        if !payload.nodes.isEmpty {
            elements = ["events of " + payload.nodes.map { "`\($0)`" }.joined(separator: ", ")]
        }
        let places = [
            (PayloadPlaces.message, "message"), (.presence, "presence"), (.iq, "iq"), (.nested, "nested"),
        ].filter { payload.places.contains($0.0) }.map(\.1).joined(separator: ", ")
        var role = words(payload.role)
        if payload.presenceRole != payload.role { role += "; in presence: " + words(payload.presenceRole) }
        return "| `\(payload.name)` | \(elements.joined(separator: "; ")) | \(places) | \(role) | \(payload.source) |"
    }

    @Test func `lists every short name as it is`() {
        let lines = Set(Self.text.split(separator: "\n").map(String.init))
        for row in Self.vocabulary { #expect(lines.contains(row), "\(row)") }
        for group in PayloadVocabulary.groups {
            let row = "| `\(group.name)` | " + group.members.map { "`\($0)`" }.joined(separator: ", ") + " |"
            #expect(lines.contains(row), "\(row)")
        }
    }

    @Test func `its examples can be read`() {
        let parts = Self.text.components(separatedBy: "```toml\n").dropFirst()
        #expect(parts.count >= 2)
        for part in parts {
            guard let example = part.components(separatedBy: "```").first else { continue }
            let library = ProfileLibrary { name in
                Shipped.source(name)
                    ?? .init(
                        file: "example", text: example.contains("name =") ? example : "name = \"\(name)\"\n" + example)
            }
            let name =
                example.components(separatedBy: "name = \"").dropFirst().first?.prefix { $0 != "\"" } ?? "example"
            #expect(throws: Never.self, "\(example)") { try library.profile(named: String(name)) }
        }
    }

    @Test func `names every shipped profile`() {
        for name in Shipped.names { #expect(Self.text.contains("`\(name)`"), "\(name)") }
    }
}
