import XMPP

/// What a `disco#info` result says, as far as a hash of XEP-0115 covers it; nothing else of a result is kept.
///
/// A result that cannot be verified without doubt is none. That is, beyond what XEP-0115 §5.4 says: a form without hidden
/// `FORM_TYPE` is not ignored, since then anybody could add one to a result whose hash is right; the same for elements that
/// the hash does not cover. And since the hash is of texts joined by `<`, a text with `<` in it, or an identity, feature or
/// field of a form that could be one of the others, could pass for something else (XEP-0390 §1 tells the attack): somebody
/// could hide the last features of a list in a form, say.
struct DiscoInfo: Equatable {
    struct Identity: Equatable {
        var category: String
        var type: String
        var language: String
        var name: String

        /// As it stands in the hashed text (XEP-0115 §5.1).
        var text: String { "\(category)/\(type)/\(language)/\(name)" }
    }

    struct Field: Equatable {
        var name: String
        var values: [String]
    }

    struct Form: Equatable {
        var type: String
        var fields: [Field]
    }

    /// Each list in the order of the hashed text.
    private(set) var identities: [Identity] = []
    private(set) var features: [String] = []
    private(set) var forms: [Form] = []

    /// Larger results are not looked at.
    static let longest = 16_384
    static let mostElements = 512

    /// Memory, roughly.
    var byteCount: Int {
        var count = 64
        forEachPart { count += 24 + $0.utf8.count }
        return count
    }

    /// Everything that is hashed, in order.
    private func forEachPart(_ body: (String) -> Void) {
        for identity in identities { body(identity.text) }
        for feature in features { body(feature) }
        for form in forms {
            body(form.type)
            for field in form.fields {
                body(field.name)
                for value in field.values { body(value) }
            }
        }
    }

    /// - Parameter answer: an IQ result with the query as its only child.
    init?(_ answer: Stanza) {
        guard answer.byteCount <= Self.longest, answer.elementCount <= Self.mostElements else { return nil }
        let children = answer.root.children
        guard children.count == 1, let query = children.first, query.interned == .discoInfo else { return nil }
        for child in query.children {
            switch (child.name, child.namespace) {
            case ("identity", XMLNamespace.discoInfo):
                guard let identity = Self.identity(child) else { return nil }
                identities.append(identity)
            case ("feature", XMLNamespace.discoInfo):
                guard let feature = Self.feature(child) else { return nil }
                features.append(feature)
            case ("x", Self.dataForms):
                guard let form = Self.form(child) else { return nil }
                forms.append(form)
            case _:
                return nil
            }
        }
        // XEP-0030 §3.1: each entity has at least one identity.
        guard !identities.isEmpty else { return nil }
        identities.sort { $0.text.precedes($1.text) }
        features.sort { $0.precedes($1) }
        forms.sort { $0.type.precedes($1.type) }
        for index in forms.indices {
            forms[index].fields.sort { $0.name.precedes($1.name) }
            guard Self.areDistinct(forms[index].fields.map(\.name)) else { return nil }
        }
        guard Self.areDistinct(identities.map(\.text)), Self.areDistinct(features), Self.areDistinct(forms.map(\.type))
        else { return nil }
    }

    // MARK: Reading

    static let dataForms = "jabber:x:data"

    /// Texts that can stand in the hashed text and mean one thing.
    private static func isUnambiguous(_ text: String) -> Bool { !text.utf8.contains(UInt8(ascii: "<")) }

    private static func identity(_ element: Element) -> Identity? {
        guard element.children.isEmpty, let category = element.attribute("category"), !category.isEmpty,
            let type = element.attribute("type"), !type.isEmpty
        else { return nil }
        let identity = Identity(
            category: category, type: type, language: element.attribute("xml:lang") ?? "",
            name: element.attribute("name") ?? "")
        // No URI looks so: before its first slash stands a colon.
        guard isUnambiguous(identity.text),
            !category.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ":") }),
            !type.utf8.contains(UInt8(ascii: "/")), !identity.language.utf8.contains(UInt8(ascii: "/"))
        else { return nil }
        return identity
    }

    private static func feature(_ element: Element) -> String? {
        guard element.children.isEmpty, let name = element.attribute("var"), !name.isEmpty, isUnambiguous(name) else {
            return nil
        }
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isLikeIdentity = parts.count >= 4 && parts.first?.contains(UInt8(ascii: ":")) == false
        // Names of fields may begin so.
        return isLikeIdentity || name.hasPrefix("{") ? nil : name
    }

    /// Features without a colon that are registered or common, by which they are told from names of fields.
    private static let plainFeatures: Set<String> = [
        "dnssrv", "fullunicode", "gc-1.0", "iq", "message", "msgoffline", "msglog", "presence", "presence-invisible",
        "roster",
        "stringprep", "vcard-temp", "sslc2s",
    ]

    /// Whether a name of a field can be that of no feature.
    private static func isFieldName(_ name: String) -> Bool {
        name.hasPrefix("{")
            || !name.utf8.contains(UInt8(ascii: ":")) && !plainFeatures.contains(name) && !name.hasPrefix("muc_")
    }

    /// A form as XEP-0128 has it: type `result`, its kind in a hidden field.
    private static func form(_ element: Element) -> Form? {
        guard element.attribute("type") == "result" else { return nil }
        var type: String?
        var fields: [Field] = []
        for child in element.children {
            guard child.name == "field", child.namespace == dataForms, let name = child.attribute("var"),
                !name.isEmpty, isUnambiguous(name)
            else { return nil }
            var values: [String] = []
            for value in child.children {
                guard value.name == "value", value.namespace == dataForms, value.children.isEmpty else { return nil }
                let text = value.text
                guard isUnambiguous(text) else { return nil }
                values.append(text)
            }
            if name == "FORM_TYPE" {
                guard type == nil, child.attribute("type") == "hidden", values.count == 1, values[0] != "" else {
                    return nil
                }
                type = values[0]
            } else {
                guard isFieldName(name), !values.isEmpty else { return nil }
                values.sort { $0.precedes($1) }
                fields.append(Field(name: name, values: values))
            }
        }
        return fields.isEmpty ? nil : type.map { Form(type: $0, fields: fields) }
    }

    /// Of a sorted list.
    private static func areDistinct(_ texts: [String]) -> Bool {
        zip(texts, texts.dropFirst()).allSatisfy { !$0.utf8.elementsEqual($1.utf8) }
    }

    // MARK: The hash

    /// The text that is hashed (XEP-0115 §5.1).
    var verificationText: [UInt8] {
        var text: [UInt8] = []
        forEachPart { part in
            text.append(contentsOf: part.utf8)
            text.append(UInt8(ascii: "<"))
        }
        return text
    }

    /// `ver` of this result.
    func hash(_ algorithm: CapsHash.Algorithm) -> CapsHash {
        CapsHash(algorithm: algorithm, value: Base64.encode(algorithm.digest(verificationText)))
    }

    // MARK: Writing

    /// The answer to a request; its node is mirrored (XEP-0030 §3.2).
    func answer(to request: Stanza, node: String?) -> Stanza? {
        guard var answer = StanzaWriter(resultFor: request) else { return nil }
        answer.start("query", XMLNamespace.discoInfo, node.map { [("node", $0)] } ?? [])
        for identity in identities {
            var attributes = [("category", identity.category), ("type", identity.type)]
            if !identity.language.isEmpty { attributes.append(("xml:lang", identity.language)) }
            if !identity.name.isEmpty { attributes.append(("name", identity.name)) }
            answer.start("identity", XMLNamespace.discoInfo, attributes)
            answer.end()
        }
        for feature in features {
            answer.start("feature", XMLNamespace.discoInfo, [("var", feature)])
            answer.end()
        }
        for form in forms {
            answer.start("x", Self.dataForms, [("type", "result")])
            Self.write(Field(name: "FORM_TYPE", values: [form.type]), [("type", "hidden")], to: &answer)
            for field in form.fields { Self.write(field, [], to: &answer) }
            answer.end()
        }
        return answer.finish()
    }

    private static func write(_ field: Field, _ attributes: [(String, String)], to writer: inout StanzaWriter) {
        writer.start("field", dataForms, attributes + [("var", field.name)])
        for value in field.values {
            writer.start("value", dataForms)
            writer.text(value)
            writer.end()
        }
        writer.end()
    }
}

extension String {
    /// The order of octets (RFC 4790 §9.3), as XEP-0115 wants it.
    func precedes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

extension StanzaWriter {
    /// Begins the result that answers an IQ request; its payload is to follow.
    init?(resultFor request: Stanza) {
        guard let to = request.to, let from = request.from, let id = request.id else { return nil }
        self.init()
        start(
            "iq", XMLNamespace.server,
            [("to", from.description), ("from", to.description), ("type", "result"), ("id", id)])
    }
}

extension ElementName {
    static let discoInfo = named("query", XMLNamespace.discoInfo)
    static let vCard = named("vCard", XMLNamespace.vCard)
    static let photoUpdate = named("x", "vcard-temp:x:update")
    static let publishedEvent = named("event", "http://jabber.org/protocol/pubsub#event")
}
