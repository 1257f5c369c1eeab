import ConfigurationText
import Foundation
import NIOCore
import Profiles
import Testing
import XMPP

/// The shipped profiles, as they lie in `profiles/` of the package.
enum Shipped {
    static let names = ["lossless", "satcom", "vhf", "hf", "hf-minimal", "chat-only"]

    static let directory = (0..<3).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        .appendingPathComponent("profiles")

    static func source(_ name: String) -> ProfileLibrary.Source? {
        let file = directory.appendingPathComponent(name + ".toml")
        return (try? String(contentsOf: file, encoding: .utf8)).map {
            ProfileLibrary.Source(file: "profiles/\(name).toml", text: $0)
        }
    }

    static let profiles: [String: CompiledProfile] = {
        var profiles: [String: CompiledProfile] = [:]
        for name in names {
            do {
                profiles[name] = CompiledProfile(try ProfileLibrary(source).profile(named: name))
            } catch {
                Issue.record("\(name): \(error)")
            }
        }
        return profiles
    }()

    static func profile(_ name: String) throws -> CompiledProfile { try #require(profiles[name], "\(name)") }
}

/// A profile of one text, or of several by name; the first is the one that is wanted. A missing `name` is put in.
func profile(_ texts: (String, String)...) throws(ConfigurationProblems) -> CompiledProfile {
    let library = ProfileLibrary { wanted in
        texts.first { $0.0 == wanted }.map {
            .init(
                file: "\($0.0).toml",
                text: $0.1.contains("name = \"\($0.0)\"") ? $0.1 : "name = \"\($0.0)\"; ".dropLast(2) + "\n" + $0.1)
        }
    }
    return CompiledProfile(try library.profile(named: texts.first?.0 ?? ""))
}

/// What is wrong with a profile text, a problem a line.
func problems(_ text: String) -> [String] {
    do {
        _ = try profile(("p", text))
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

func read(_ xml: String, _ place: SourceLocation = #_sourceLocation) throws -> Stanza {
    do {
        return try StanzaReader().read(ByteBuffer(string: xml))
    } catch {
        Issue.record("\(error): \(xml)", sourceLocation: place)
        throw error
    }
}

/// That a stanza is canonical: read anew it has the same bytes and the same elements.
func expectCanonical(_ stanza: Stanza, _ comment: String = "", _ place: SourceLocation = #_sourceLocation) throws {
    let again = try read(stanza.text, place)
    #expect(again.text == stanza.text, "\(comment)", sourceLocation: place)
    #expect(again == stanza && again.elementCount == stanza.elementCount, "\(comment)", sourceLocation: place)
    #expect(
        again.to == stanza.to && again.from == stanza.from && again.id == stanza.id, "\(comment)", sourceLocation: place
    )
    #expect(again.type == stanza.type && again.kind == stanza.kind, "\(comment)", sourceLocation: place)
    for index in 0..<min(again.elementCount, stanza.elementCount) {
        let (left, right) = (again.element(at: index), stanza.element(at: index))
        #expect(
            left.name == right.name && left.depth == right.depth && left.byteCount == right.byteCount
                && left.contentBytes == right.contentBytes, "\(comment)", sourceLocation: place)
    }
}
