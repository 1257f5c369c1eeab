import Foundation
import NIOCore
import Profiles
import Testing
import XMPP

/// One row: a stanza, a profile, and what becomes of it.
struct GoldenRow: Sendable, CustomTestStringConvertible {
    let line: Int
    let profile: String
    let stanza: String
    let opening: String
    let sender: StanzaSender
    let direction: ProfileDirection
    let expected: String

    var testDescription: String { "line \(self.line), \(self.profile)" }
}

/// Reads `Fixtures/golden.txt`: a line `SHAPE | CONTENT` is a stanza, the indented lines below it say `PROFILES: VERDICT`.
/// The verdict `fold CONTENT` and `truncate CONTENT` give what is left between the stanza's own tags.
enum GoldenTable {
    private static let shapes: [String: (tag: String, sender: StanzaSender, direction: ProfileDirection)] = [
        "chat": ("message to='bob@hq.example' from='ann@ship.example/r' type='chat' id='m1'", .user, .out),
        "normal": ("message to='bob@hq.example' from='ann@ship.example/r' id='m1'", .user, .out),
        "headline": ("message to='bob@hq.example' from='ann@ship.example' type='headline' id='m1'", .user, .out),
        "to-room": (
            "message to='ops@conference.hq.example' from='ann@ship.example/r' type='groupchat' id='m1'", .user, .out
        ),
        "from-room": (
            "message to='bob@hq.example/r' from='ops@conference.ship.example/ann' type='groupchat' id='m1'", .room, .out
        ),
        "room-private": (
            "message to='bob@hq.example/r' from='ops@conference.ship.example/ann' type='chat' id='m1'", .unknown, .out
        ),
        "message-error": ("message to='bob@hq.example/r' from='ann@ship.example/r' type='error' id='m1'", .user, .out),
        "available": ("presence to='bob@hq.example' from='ann@ship.example/r' id='p1'", .user, .out),
        "unavailable": (
            "presence to='bob@hq.example' from='ann@ship.example/r' type='unavailable' id='p1'", .user, .out
        ),
        "probe": ("presence to='bob@hq.example' from='ann@ship.example' type='probe'", .user, .out),
        "subscribe": ("presence to='bob@hq.example' from='ann@ship.example' type='subscribe' id='p1'", .user, .out),
        "subscribed": ("presence to='bob@hq.example' from='ann@ship.example' type='subscribed' id='p1'", .user, .out),
        "unsubscribe": ("presence to='bob@hq.example' from='ann@ship.example' type='unsubscribe' id='p1'", .user, .out),
        "unsubscribed": (
            "presence to='bob@hq.example' from='ann@ship.example' type='unsubscribed' id='p1'", .user, .out
        ),
        "presence-error": ("presence to='bob@hq.example' from='ann@ship.example/r' type='error' id='p1'", .user, .out),
        "join": ("presence to='ops@conference.hq.example/ann' from='ann@ship.example/r' id='p1'", .user, .out),
        "occupant": ("presence to='bob@hq.example/r' from='ops@conference.ship.example/ann' id='p1'", .room, .out),
        "occupant-left": (
            "presence to='bob@hq.example/r' from='ops@conference.ship.example/ann' type='unavailable' id='p1'", .room,
            .out
        ),
        "get": ("iq to='bob@hq.example/r' from='ann@ship.example/r' type='get' id='i1'", .user, .out),
        "set": ("iq to='bob@hq.example/r' from='ann@ship.example/r' type='set' id='i1'", .user, .out),
        "result": ("iq to='bob@hq.example/r' from='ann@ship.example/r' type='result' id='i1'", .user, .out),
        "iq-error": ("iq to='bob@hq.example/r' from='ann@ship.example/r' type='error' id='i1'", .user, .out),
        "in-chat": ("message to='ann@ship.example' from='bob@hq.example/r' type='chat' id='m1'", .user, .in),
        "in-room": (
            "message to='ann@ship.example/r' from='ops@conference.hq.example/bob' type='groupchat' id='m1'", .room, .in
        ),
        "in-available": ("presence to='ann@ship.example' from='bob@hq.example/r' id='p1'", .user, .in),
        "in-occupant": ("presence to='ann@ship.example/r' from='ops@conference.hq.example/bob' id='p1'", .room, .in),
    ]

    /// `%5000%` in a content stands for so many letters.
    private static func expanded(_ text: String) -> String {
        var parts = text.components(separatedBy: "%")
        for index in parts.indices where index % 2 == 1 {
            parts[index] = String(repeating: "a", count: Int(parts[index]) ?? 0)
        }
        return parts.joined()
    }

    static func wrap(_ opening: String, _ content: String) -> String {
        let name = opening.prefix { $0 != " " }
        return content.isEmpty ? "<\(opening)/>" : "<\(opening)>\(content)</\(name)>"
    }

    static let text: String = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "Fixtures/golden.txt")
        return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    }()

    static let rows: [GoldenRow] = {
        var rows: [GoldenRow] = []
        var current: (shape: (tag: String, sender: StanzaSender, direction: ProfileDirection), content: String)?
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty || line.hasPrefix("#") { continue }
            guard line.hasPrefix(" ") else {
                let parts = line.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
                let name = parts[0].trimmingCharacters(in: .whitespaces)
                guard let shape = shapes[name], parts.count == 2 else {
                    Issue.record("line \(number + 1): no shape \(name)")
                    continue
                }
                current = (shape, expanded(parts[1].trimmingCharacters(in: .whitespaces)))
                continue
            }
            guard let current, let colon = line.firstIndex(of: ":") else {
                Issue.record("line \(number + 1) belongs to nothing")
                continue
            }
            let expected = expanded(line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
            for profile in line[..<colon].split(separator: " ") {
                let names = profile == "all" ? Shipped.names : [String(profile)]
                for name in names {
                    rows.append(
                        GoldenRow(
                            line: number + 1, profile: name, stanza: wrap(current.shape.tag, current.content),
                            opening: current.shape.tag, sender: current.shape.sender,
                            direction: current.shape.direction,
                            expected: expected))
                }
            }
        }
        return rows
    }()

    static func shown(_ verdict: ProfileVerdict, _ opening: String) -> String {
        func content(_ stanza: Stanza) -> String {
            let empty = "<\(opening)/>"
            if stanza.text == empty { return "" }
            let start = "<\(opening)>"
            let end = "</\(opening.prefix { $0 != " " })>"
            guard stanza.text.hasPrefix(start), stanza.text.hasSuffix(end) else { return stanza.text }
            return String(stanza.text.dropFirst(start.count).dropLast(end.count))
        }
        func shown(_ refusal: Refusal) -> String {
            "\(refusal.condition.rawValue) \(refusal.type.rawValue): \(refusal.text)"
        }
        switch verdict {
        case .pass: return "pass"
        case .fold(let stanza): return ("fold " + content(stanza)).trimmingCharacters(in: .whitespaces)
        case .truncate(let stanza): return "truncate " + content(stanza)
        case .drop(.fromRoom(let refusal)): return "drop from-room " + shown(refusal)
        case .drop(.onlyMetadata): return "drop only-metadata"
        case .drop(.nothingLeft): return "drop nothing-left"
        case .drop(.noPresence): return "drop no-presence"
        case .drop(.serverOwned): return "drop server-owned"
        case .refuse(let refusal): return "refuse " + shown(refusal)
        case .answerLocally(nil): return "answer-locally or pass"
        case .answerLocally(let refusal?): return "answer-locally or refuse " + shown(refusal)
        }
    }
}

@Suite("Shipped profiles, stanza by stanza") struct GoldenTableTests {
    @Test(arguments: GoldenTable.rows) func `a stanza becomes what the table says`(_ row: GoldenRow) throws {
        let stanza = try read(row.stanza)
        #expect(stanza.text == row.stanza, "the table's stanzas are canonical")
        let verdict = try Shipped.profile(row.profile).apply(stanza, direction: row.direction, sender: row.sender)
        #expect(GoldenTable.shown(verdict, row.opening) == row.expected, "\(row.stanza)")
        switch verdict {
        case .fold(let folded), .truncate(let folded): try expectCanonical(folded)
        case .pass, .drop, .refuse, .answerLocally: break
        }
    }

    @Test func `the table is as large as it should be`() {
        #expect(GoldenTable.rows.count >= 150)
        for name in Shipped.names {
            #expect(GoldenTable.rows.contains { $0.profile == name }, "\(name)")
        }
    }
}
