/// The place of a value in a TOML document: keys and array indices from the root.
package struct TOMLPath: Hashable, Sendable, CustomStringConvertible {
    package enum Component: Hashable, Sendable {
        case key(String)
        case index(Int)
    }

    package var components: [Component]

    package init(_ components: [Component] = []) {
        self.components = components
    }

    package static let root = TOMLPath()

    package func key(_ name: String) -> TOMLPath {
        TOMLPath(components + [.key(name)])
    }

    package func index(_ index: Int) -> TOMLPath {
        TOMLPath(components + [.index(index)])
    }

    /// The path without its last component; the root for the root.
    package var parent: TOMLPath {
        TOMLPath(Array(components.dropLast()))
    }

    /// As an operator would write it: `peer[0].transport.connect`; keys that TOML would quote are quoted.
    package var description: String {
        var text = ""
        for component in components {
            switch component {
            case .key(let name):
                if !text.isEmpty { text += "." }
                text += TOMLPath.isBare(name) ? name : TOMLPath.quoted(name[...])
            case .index(let index):
                text += "[\(index)]"
            }
        }
        return text
    }

    /// A text in quotes that stays on its line and does nothing to a terminal; quotes within stand as they are.
    static func quoted(_ text: Substring) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// Whether a key may stand without quotes (TOML 1.0, Keys).
    private static func isBare(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { isBare($0) }
    }

    /// Whether a byte may stand in a key without quotes.
    static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }
}
