import CExpat
import Glibc

/// Everything that the parser's callbacks touch: turns expat's events into canonical stanzas.
///
/// Lives in memory of its own, so that the callbacks reach it by its address. Expat calls back only from within
/// ``StreamReader/read(_:)``.
@safe struct ReaderCore: ~Copyable {
    enum Mode: Equatable {
        case received
        case implicit(String)
    }

    /// The byte that parts namespace, local name and prefix in expat's names. UTF-8 never holds it.
    static let separator: UInt8 = 0xff

    var parser: XML_Parser
    var limits: XMLLimits
    let mode: Mode
    var events: [StreamEvent] = []
    /// Set once; everything after it is ignored.
    var isFinished = false

    /// The stream root is open.
    private(set) var isOpen = false
    /// While the root is being primed, what the callbacks see is ours.
    var isPriming = false
    /// Set at a stanza's end where the parser is due to be made anew.
    var wantsNewParser = false
    /// Bytes that the present parser has seen of the peer's.
    var parserBytes = 0
    private(set) var header = StreamHeader(version: nil, declaresDialback: false)

    private var writer: CanonicalWriter
    private var names: NameCache
    /// Prefixes that the element being started has declared.
    private var declaredHere: [Bytes] = []
    /// The attributes of one element, kept for its memory.
    private var attributeList: [(ExpandedName, Bytes)] = []
    private var scope = NamespaceScope()
    private var depth = 0
    private var streamElements = 0
    /// Depth of the root of a subtree whose prefixes stay; 0 outside.
    private var protectedDepth = 0
    private var stanzaStart = 0
    /// Holds the start tag of a stanza over its limit while the rest is skipped.
    private var skipped: Stanza?
    private var stubLength = 0

    init(parser: XML_Parser, limits: XMLLimits, mode: Mode) {
        unsafe self.parser = unsafe parser
        self.limits = limits
        self.mode = mode
        let content: String =
            switch mode {
            case .received: XMLNamespace.server
            case .implicit(let namespace): namespace
            }
        self.writer = CanonicalWriter(contentNamespace: content)
        self.names = NameCache(contentNamespace: content)
        self.header.contentNamespace = content
    }

    /// The root's opening tag for a parser that is made anew in the middle of a stream.
    var primingTag: String {
        var tag = "<stream:stream xmlns='\(XMLEscape.attribute(self.header.contentNamespace))'"
        tag += " xmlns:stream='\(XMLNamespace.stream)'"
        for declaration in self.scope.declarations
        where declaration.depth == 0 && !declaration.prefix.isEmpty && declaration.prefix != "stream" {
            tag += " xmlns:\(declaration.prefix)='\(XMLEscape.attribute(declaration.namespace))'"
        }
        return tag + ">"
    }

    /// Whether the parser stands between two stanzas.
    var isBetweenStanzas: Bool { self.depth == 1 }

    /// Bytes of the stanza that is being read, in canonical form.
    var unfinishedBytes: Int { self.writer.byteCount }

    /// The new parser's root was read.
    mutating func primed() {
        self.isPriming = false
        self.isOpen = true
        self.depth = 1
    }

    mutating func fail(_ condition: StreamErrorCondition, _ text: String? = nil) {
        guard !self.isFinished else { return }
        self.isFinished = true
        self.events.append(.failed(StreamError(condition, text: text)))
        self.writer.clear()
        unsafe _ = XML_StopParser(self.parser, XML_Bool(XML_FALSE))
    }

    /// Ends the stream by the parser's own verdict.
    mutating func parserFailed(_ code: XML_Error) {
        let condition: StreamErrorCondition =
            switch code {
            case XML_ERROR_UNDEFINED_ENTITY, XML_ERROR_RECURSIVE_ENTITY_REF, XML_ERROR_ASYNC_ENTITY,
                XML_ERROR_ENTITY_DECLARED_IN_PE,
                XML_ERROR_AMPLIFICATION_LIMIT_BREACH:
                .restrictedXML
            case XML_ERROR_UNKNOWN_ENCODING, XML_ERROR_INCORRECT_ENCODING: .unsupportedEncoding
            case XML_ERROR_UNBOUND_PREFIX: .badNamespacePrefix
            case XML_ERROR_NO_MEMORY: .resourceConstraint
            default: .notWellFormed
            }
        self.fail(condition)
    }

    // MARK: What expat found

    mutating func namespaceDeclared(prefix: UnsafePointer<CChar>?, namespace: UnsafePointer<CChar>?) {
        guard !self.isFinished, !self.isPriming else { return }
        let namespace = unsafe namespace.map { unsafe Bytes($0) }
        guard (namespace?.count ?? 0) <= self.limits.namespaceBytes else {
            return self.fail(.policyViolation, "namespace name too long")
        }
        let prefix = unsafe prefix.map { unsafe Bytes($0) }
        guard (prefix?.count ?? 0) <= self.limits.nameBytes else {
            return self.fail(.policyViolation, "name too long")
        }
        // The default namespace of an element is told by its name; below the root only prefixes are of use.
        if prefix == nil, self.depth > 0 { return }
        self.scope.declare(prefix: prefix?.string ?? "", namespace: namespace?.string ?? "", depth: self.depth)
        if self.scope.declarations.count > self.limits.attributes + self.limits.depth {
            self.fail(.policyViolation, "too many namespace declarations")
        }
    }

    mutating func elementStarted(
        _ name: UnsafePointer<CChar>, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>
    ) {
        guard !self.isFinished, !self.isPriming else { return }
        let whole = unsafe Bytes(name)
        let known = self.names.find(whole)
        let name = ExpandedName(whole, known)
        guard name.local.count <= self.limits.nameBytes, name.namespace.count <= self.limits.namespaceBytes else {
            return self.fail(.policyViolation, "name too long")
        }
        var count = 0
        while unsafe attributes[count * 2] != nil {
            count += 1
            if count > self.limits.attributes { return self.fail(.policyViolation, "too many attributes") }
        }
        if !self.declaredHere.isEmpty { self.declaredHere.removeAll(keepingCapacity: true) }
        self.streamElements += 1
        if let most = self.limits.streamElements, self.streamElements > most {
            return self.fail(.policyViolation, "too many elements before authentication")
        }
        switch self.depth {
        case 0: unsafe self.rootStarted(name, attributes, count)
        case 1: unsafe self.stanzaStarted(name, known, attributes, count)
        default: unsafe self.childStarted(name, known, attributes, count)
        }
        self.depth += 1
        if self.depth > self.limits.depth + 1 { self.fail(.policyViolation, "nested too deep") }
    }

    private mutating func rootStarted(
        _ name: ExpandedName, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>, _ count: Int
    ) {
        guard name.namespace.equals(XMLNamespace.stream) else { return self.fail(.invalidNamespace) }
        guard name.local.equals("stream") else { return self.fail(.badFormat) }
        guard name.prefix.equals("stream") else { return self.fail(.badNamespacePrefix) }
        var header = StreamHeader(version: nil, declaresDialback: false)
        header.contentNamespace = self.scope.namespace(of: "")?.namespace ?? ""
        header.declaresDialback = self.scope.declarations.contains {
            $0.namespace == XMLNamespace.dialback && $0.depth == 0
        }
        for index in 0..<count {
            guard let key = unsafe attributes[index * 2], let text = unsafe attributes[index * 2 + 1] else { break }
            let attribute = unsafe ExpandedName(Bytes(key))
            let value = unsafe Bytes(text).string
            if attribute.namespace.count == 0 {
                if attribute.local.equals("from") { header.from = value }
                if attribute.local.equals("to") { header.to = value }
                if attribute.local.equals("id") { header.id = value }
                if attribute.local.equals("version") { header.version = value }
            } else if attribute.namespace.equals(XMLNamespace.xml), attribute.local.equals("lang") {
                header.language = value
            }
        }
        self.header = header
        self.writer = CanonicalWriter(contentNamespace: header.contentNamespace)
        self.names = NameCache(contentNamespace: header.contentNamespace)
        self.isOpen = true
        self.events.append(.opened(header))
    }

    private mutating func stanzaStarted(
        _ name: ExpandedName, _ known: KnownName, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>,
        _ count: Int
    ) {
        // A header in the middle of a stream would swallow all that follows as its children.
        if name.local.equals("stream"), name.namespace.equals(XMLNamespace.stream) { return self.fail(.badFormat) }
        unsafe self.stanzaStart = XML_GetCurrentByteIndex(self.parser)
        self.writer.start(local: name.local, namespace: name.namespace, kind: known.kind, code: known.code)
        unsafe self.writeStanzaAttributes(attributes, count, isStanza: known.kind != .other)
        self.stubLength = self.writer.byteCount
        self.checkSize()
    }

    /// `to`, `from`, `type`, `id`, `xml:lang`, then the others in order.
    private mutating func writeStanzaAttributes(
        _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>, _ count: Int, isStanza: Bool
    ) {
        var to: Bytes?
        var from: Bytes?
        var type: Bytes?
        var id: Bytes?
        var language: Bytes?
        var others = self.attributeList
        self.attributeList = []
        for index in 0..<count {
            guard let key = unsafe attributes[index * 2], let text = unsafe attributes[index * 2 + 1] else { break }
            let name = unsafe Bytes(key)
            let value = unsafe Bytes(text)
            // A name in no namespace stands alone.
            if name.equals("to") {
                to = value
            } else if name.equals("id") {
                id = value
            } else if name.equals("from") {
                from = value
            } else if name.equals("type") {
                type = value
            } else {
                let attribute = ExpandedName(name)
                if attribute.local.equals("lang"), attribute.namespace.equals(XMLNamespace.xml) {
                    language = value
                } else {
                    Self.insert(attribute, value, into: &others)
                }
            }
        }
        if let to { self.writer.stanzaTo(to) }
        if let from { self.writer.stanzaFrom(from) }
        if let type { self.writer.stanzaType(type) }
        if let id { self.writer.stanzaID(id) }
        if let language {
            self.writer.stanzaLanguage(language)
        } else if isStanza, let inherited = self.header.language {
            inherited.withBytes { self.writer.stanzaLanguage($0) }
        }
        if !others.isEmpty {
            self.writeAttributes(others)
            others.removeAll(keepingCapacity: true)
        }
        self.attributeList = others
    }

    private mutating func childStarted(
        _ name: ExpandedName, _ known: KnownName, _ attributes: UnsafeMutablePointer<UnsafePointer<CChar>?>,
        _ count: Int
    ) {
        guard self.skipped == nil else { return self.checkSkipped() }
        guard self.writer.elementCount < self.limits.elements else { return self.startSkipping() }
        if self.protectedDepth == 0, known.isProtected { self.protectedDepth = self.depth }
        if self.protectedDepth > 0 {
            self.protectedStarted(name, known)
        } else {
            self.writer.start(local: name.local, namespace: name.namespace, code: known.code)
        }
        if count > 0 {
            var all = self.attributeList
            self.attributeList = []
            for index in 0..<count {
                guard let key = unsafe attributes[index * 2], let text = unsafe attributes[index * 2 + 1] else { break }
                unsafe Self.insert(ExpandedName(Bytes(key)), Bytes(text), into: &all)
            }
            self.writeAttributes(all)
            all.removeAll(keepingCapacity: true)
            self.attributeList = all
        }
        self.checkSize()
    }

    /// Puts an attribute into its place in the order of namespaces and local names.
    @inline(__always)
    private static func insert(
        _ name: ExpandedName, _ value: Bytes, into list: inout [(ExpandedName, Bytes)]
    ) {
        list.append((name, value))
        var place = list.count - 1
        while place > 0, name.precedes(list[place - 1].0) {
            list.swapAt(place, place - 1)
            place -= 1
        }
    }

    private mutating func protectedStarted(_ name: ExpandedName, _ known: KnownName) {
        self.writer.start(
            local: name.local, namespace: name.namespace, prefix: name.prefix, code: known.code)
        let declarations = self.scope.declarations(
            forDepth: self.depth, isRoot: self.protectedDepth == self.depth)
        for declaration in declarations {
            declaration.prefix.withBytes { prefix in
                declaration.namespace.withBytes { self.writer.declare(prefix: prefix, $0) }
            }
        }
        if name.prefix.count > 0 { self.declareIfNeeded(name) }
    }

    /// Declares a name's prefix on the element that is being written, unless it or, in a protected subtree, an element
    /// around it has.
    private mutating func declareIfNeeded(_ name: ExpandedName) {
        if self.protectedDepth > 0, !self.scope.isDeclaredByStream(name.prefix) { return }
        if self.declaredHere.contains(where: { $0.equals(name.prefix) }) { return }
        self.writer.declare(prefix: name.prefix, name.namespace)
        self.declaredHere.append(name.prefix)
    }

    /// Writes attributes that stand in order.
    private mutating func writeAttributes(_ attributes: [(ExpandedName, Bytes)]) {
        for (name, value) in attributes {
            if name.namespace.count == 0 {
                self.writer.attribute(name.local, value)
            } else if name.namespace.equals(XMLNamespace.xml) {
                self.writer.attribute(prefix: name.prefix, name.local, value)
            } else {
                self.declareIfNeeded(name)
                self.writer.attribute(prefix: name.prefix, name.local, value)
            }
        }
    }

    mutating func elementEnded() {
        guard !self.isFinished, !self.isPriming else { return }
        self.depth -= 1
        switch self.depth {
        case 0:
            self.isFinished = true
            self.events.append(.closed)
        case 1:
            self.scope.leave(depth: 1)
            self.stanzaEnded()
        default:
            self.scope.leave(depth: self.depth)
            if self.protectedDepth == self.depth { self.protectedDepth = 0 }
            if self.skipped == nil {
                self.writer.end()
                self.checkSize()
            }
        }
    }

    private mutating func stanzaEnded() {
        if let stub = self.skipped {
            self.skipped = nil
            self.events.append(.oversize(stub, limit: self.limits.stanzaBytes))
        } else {
            self.writer.end()
            let index = unsafe XML_GetCurrentByteIndex(self.parser)
            let length = unsafe Int(index) + Int(XML_GetCurrentByteCount(self.parser)) - self.stanzaStart
            if length > self.limits.stanzaBytes || self.writer.byteCount > self.limits.stanzaBytes {
                let stub = self.makeStub()
                self.events.append(.oversize(stub, limit: self.limits.stanzaBytes))
            } else {
                self.events.append(.stanza(self.writer.finishStanza()))
            }
        }
        if self.parserBytes > XMLLimits.parserLifetimeBytes {
            self.wantsNewParser = true
            unsafe _ = XML_StopParser(self.parser, XML_Bool(XML_TRUE))
        }
    }

    mutating func textFound(_ text: Bytes) {
        guard !self.isFinished, !self.isPriming else { return }
        guard self.depth > 1 else {
            for index in 0..<text.count {
                switch text[index] {
                case 0x20, 0x09, 0x0a, 0x0d: continue
                default: return self.fail(.badFormat, "text between stanzas")
                }
            }
            return
        }
        guard self.skipped == nil else { return self.checkSkipped() }
        self.writer.text(text)
        self.checkSize()
    }

    mutating func restrictedFound() {
        guard !self.isPriming else { return }
        self.fail(.restrictedXML)
    }

    mutating func declarationFound(encoding: UnsafePointer<CChar>?) {
        guard let encoding = unsafe encoding, !self.isFinished, !self.isPriming else { return }
        let name = unsafe Bytes(encoding).string.uppercased()
        if name != "UTF-8" { self.fail(.unsupportedEncoding) }
    }

    // MARK: Size

    @inline(__always)
    private mutating func checkSize() {
        if self.writer.byteCount > self.limits.stanzaBytes { self.startSkipping() }
    }

    @inline(never)
    private mutating func startSkipping() {
        self.skipped = self.makeStub()
        self.protectedDepth = 0
    }

    /// The stanza's start tag alone, as an empty stanza. A start tag is one token, so the stub is bounded.
    private mutating func makeStub() -> Stanza {
        self.writer.finishStub(tagLength: self.stubLength)
    }

    private mutating func checkSkipped() {
        let index = unsafe XML_GetCurrentByteIndex(self.parser)
        if Int(index) - self.stanzaStart > self.limits.skippedBytes {
            self.fail(.policyViolation, "stanza too big")
        }
    }

    /// Forgets the stream: a new header is expected.
    mutating func restart(parser: XML_Parser) {
        unsafe self.parser = unsafe parser
        self.events.removeAll()
        self.isFinished = false
        self.isOpen = false
        self.wantsNewParser = false
        self.parserBytes = 0
        self.writer.clear()
        self.scope.removeAll()
        self.depth = 0
        self.streamElements = 0
        self.protectedDepth = 0
        self.skipped = nil
    }
}
