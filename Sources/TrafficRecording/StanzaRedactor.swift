import NIOCore
package import XMPP

/// Replaces what people wrote, their names and their addresses in stanzas, so that sizes and repetitions stay.
///
/// All character data and all attributes are replaced word by word (``WordCipher``), but for what is known to hold
/// words of protocols: element and attribute names, namespaces, `type`, `role` and the like, times, languages,
/// `show`, `priority`, the type of a data form. So an address is the same made-up one wherever it stands, in texts
/// too, and a stanza has as many bytes as before.
///
/// It hides contents, not habits: who writes to whom, when and how much stays visible, as do language, software and
/// lengths of words. Whoever knows some of the texts can find them again by those.
package struct StanzaRedactor {
    /// Attributes that hold words of protocols, times or numbers of a protocol.
    private static let keptAttributes: Set<String> = [
        "action", "affiliation", "algo", "category", "code", "hash", "role", "stamp", "type", "var", "version",
        "xml:lang",
    ]
    /// Attributes whose values name things once.
    private static let ids: Set<String> = ["id", "sid", "ver"]

    private let values: ValueRedactor
    private let reader: StanzaReader

    /// - Parameter key: random, made for one file and forgotten with it: whoever has it can undo everything.
    package init(key: (UInt64, UInt64), limits: XMLLimits = .local) {
        values = ValueRedactor(cipher: WordCipher(hash: SipHash(key: key)))
        reader = StanzaReader(limits: limits)
    }

    /// - Returns: nil where the result is no stanza; then nothing of it may be kept.
    package func redacted(_ stanza: Stanza) -> Stanza? {
        var walk = CanonicalWalk(stanza.text)
        var result = ByteBuffer()
        var open: [Context] = []
        while let part = walk.next() {
            switch part {
            case .startTag(let tag, let isEmpty):
                let context = Context(tag, inside: open)
                result.writeString("<\(tag.name)")
                for (name, value) in tag.attributes { result.writeString(" \(name)='\(redacted(name, value))'") }
                result.writeString(isEmpty ? "/>" : ">")
                if !isEmpty { open.append(context) }
            case .endTag(let name):
                result.writeString("</\(name)>")
                _ = open.popLast()
            case .text(let text):
                result.writeString(open.last?.keepsText == true ? String(text) : values.redacted(String(text)))
            }
        }
        return try? reader.read(result)
    }

    private func redacted(_ name: Substring, _ value: Substring) -> String {
        let isNamespace = name == "xmlns" || name.hasPrefix("xmlns:")
        if isNamespace || Self.keptAttributes.contains(String(name)) && !value.contains("@") { return String(value) }
        // Nodes of services and of software are URIs as a rule; others have names that people gave them.
        let isURI = ["urn:", "http://", "https://"].contains { value.hasPrefix($0) }
        if name == "node", isURI, !value.contains("@") { return String(value) }
        return values.redacted(String(value), isID: Self.ids.contains(String(name)))
    }

    /// What is known of an open element.
    private struct Context {
        var isTypeField = false
        var keepsText = false

        init(_ tag: CanonicalWalk.Tag, inside open: [Context]) {
            switch tag.name {
            case "show", "priority": keepsText = open.count == 1
            case "field": isTypeField = tag.attributes.contains { $0.name == "var" && $0.value == "FORM_TYPE" }
            case "value": keepsText = open.last?.isTypeField == true
            default: break
            }
        }
    }
}

/// Goes through canonical XML, which has one way of writing everything (docs/architecture.md, "The stanza").
private struct CanonicalWalk {
    struct Tag {
        var name: Substring
        /// As they are written, escapes included.
        var attributes: [(name: Substring, value: Substring)] = []
    }

    enum Part {
        case startTag(Tag, isEmpty: Bool)
        case endTag(Substring)
        case text(Substring)
    }

    private var rest: Substring

    init(_ xml: String) {
        rest = xml[...]
    }

    mutating func next() -> Part? {
        guard let first = rest.unicodeScalars.first else { return nil }
        guard first == "<" else { return .text(take { $0 != "<" }) }
        drop()
        if rest.unicodeScalars.first == "/" {
            drop()
            let name = take { $0 != ">" }
            drop()
            return .endTag(name)
        }
        var tag = Tag(name: take { $0 != " " && $0 != "/" && $0 != ">" })
        while rest.unicodeScalars.first == " " {
            drop()
            let name = take { $0 != "=" }
            drop()
            drop()
            tag.attributes.append((name, take { $0 != "'" }))
            drop()
        }
        let isEmpty = rest.unicodeScalars.first == "/"
        if isEmpty { drop() }
        drop()
        return .startTag(tag, isEmpty: isEmpty)
    }

    /// Scalars and not characters: a combining mark after a quote would else hide it.
    private mutating func take(_ isPart: (Unicode.Scalar) -> Bool) -> Substring {
        let end = rest.unicodeScalars.firstIndex { !isPart($0) } ?? rest.endIndex
        defer { rest = rest[end...] }
        return rest[..<end]
    }

    private mutating func drop() {
        rest = Substring(rest.unicodeScalars.dropFirst())
    }
}
