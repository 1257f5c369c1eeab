import XMPP

/// The numbers of payloads in one profile: those of the vocabulary, then what the profile names by namespace.
struct CodeSpace: Sendable {
    /// An element outside the vocabulary.
    struct Custom: Equatable, Sendable {
        let namespace: String
        /// As it stands in canonical bytes.
        let escapedNamespace: String
        let local: String?
    }

    private(set) var customs: [Custom] = []
    /// Kept here, since every child of every stanza is compared with it.
    private let eventCode = PayloadVocabulary.Code.event

    var count: Int { PayloadVocabulary.firstCustomCode + customs.count }

    init(_ profile: Profile) {
        for list in profile.lists {
            for entry in list { add(entry.value) }
        }
        // What is named in full is looked for before a whole namespace.
        customs = customs.filter { $0.local != nil } + customs.filter { $0.local == nil }
    }

    private mutating func add(_ selector: PayloadSelector) {
        guard case .element(let namespace, let local) = selector else { return }
        if let local, ElementName.named(local, namespace) != .unknown { return }
        let custom = Custom(namespace: namespace, escapedNamespace: XMLEscape.attribute(namespace), local: local)
        if !customs.contains(custom) { customs.append(custom) }
    }

    /// All numbers that an entry of a list stands for.
    func codes(of selector: PayloadSelector) -> [Int] {
        switch selector {
        case .short(_, let payloads): return payloads.flatMap { PayloadVocabulary.codesOfPayload[$0] }
        case .element(let namespace, let local):
            var codes: [Int] = []
            for (index, name) in ElementName.vocabulary.enumerated()
            where name.namespace == namespace && (local == nil || name.local == local) {
                codes.append(index + 1)
                // An event has more numbers than its element.
                if index + 1 == PayloadVocabulary.Code.event {
                    codes += PayloadVocabulary.events.indices.flatMap { event in
                        PayloadVocabulary.payloads(named: PayloadVocabulary.events[event].name)?
                            .flatMap { PayloadVocabulary.codesOfPayload[$0] } ?? []
                    }
                }
            }
            for (index, custom) in customs.enumerated()
            where custom.namespace == namespace && (local == nil || custom.local == local) {
                codes.append(PayloadVocabulary.firstCustomCode + index)
            }
            return codes
        }
    }

    /// The payload of a number; `nil` for what no vocabulary holds.
    func payload(of code: Int) -> Payload? {
        guard code < PayloadVocabulary.firstCustomCode else { return nil }
        return PayloadVocabulary.payloadOfCode[code].map { PayloadVocabulary.all[$0] }
    }

    /// The number of a direct child.
    @inline(__always)
    func code(of name: ElementName, at index: Int, in stanza: Stanza) -> Int {
        let code = Int(name.code)
        return code == 0 || code == eventCode ? slowCode(code, at: index, in: stanza) : code
    }

    @inline(never)
    private func slowCode(_ code: Int, at index: Int, in stanza: Stanza) -> Int {
        if code == eventCode {
            let items = stanza.cursor(at: index).children.first { ["items", "purge", "delete"].contains($0.name) }
            return items?.attribute("node").flatMap { PayloadVocabulary.eventCode(node: $0) } ?? code
        }
        if stanza.keepsPrefix(at: index) { return PayloadVocabulary.protectedCode }
        for (offset, custom) in customs.enumerated()
        where stanza.child(at: index, isNamed: custom.local, inEscaped: custom.escapedNamespace) {
            return PayloadVocabulary.firstCustomCode + offset
        }
        let isProtected = PayloadVocabulary.protectedNamespaces.contains {
            stanza.child(at: index, isNamed: nil, inEscaped: $0)
        }
        return isProtected ? PayloadVocabulary.protectedCode : PayloadVocabulary.otherCode
    }
}

extension Profile {
    /// Every list of payloads that it has.
    fileprivate var lists: [PayloadList] {
        var lists: [PayloadList?] = []
        func add(_ folding: Folding?) {
            switch folding {
            case nil: break
            case .strip(let list), .keepOnly(let list, _): lists.append(list)
            }
        }
        for settings in [message] + messageRules.map(\.settings) {
            lists += [settings.dropWhenOnly, settings.stripInChat, settings.keep, settings.refuse]
            add(settings.folding)
        }
        for settings in [presence] + presenceRules.map(\.settings) {
            lists.append(settings.keep)
            add(settings.folding)
        }
        for settings in [iq] + iqRules.map(\.settings) {
            lists += [settings.allow, settings.refuse, settings.answerLocally, settings.strip]
        }
        return lists.compactMap { $0 }
    }
}
