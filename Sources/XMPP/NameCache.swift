/// What is known of an element's name before its element is looked at.
struct KnownName {
    /// Length of the name as expat tells it; 0 in an empty place.
    var length = 0
    var namespaceCount = 0
    var localStart = 0
    var localCount = 0
    var prefixStart = 0
    var prefixCount = 0
    /// Code in the vocabulary.
    var code: UInt16 = 0
    /// What the element is where it stands below the stream's root.
    var kind = StanzaKind.other
    /// Its subtree keeps its prefixes: security labels and XML signatures.
    var isProtected = false
}

/// The names met lately, found again by the bytes in which expat tells them: taking a name apart, comparing its
/// namespace with the few that matter and looking it up in the vocabulary is then done once for a name and not for
/// every element.
///
/// Bounded whatever names a peer makes up; a stream that uses many pays with speed alone.
@safe struct NameCache: ~Copyable {
    private static let places = 64
    /// Longer names are not kept.
    private static let keptBytes = 96

    private let names: UnsafeMutablePointer<UInt8>
    private let known: UnsafeMutablePointer<KnownName>
    private let contentNamespace: String

    init(contentNamespace: String) {
        self.contentNamespace = contentNamespace
        unsafe self.names = .allocate(capacity: Self.places * Self.keptBytes)
        unsafe self.known = .allocate(capacity: Self.places)
        unsafe self.known.initialize(repeating: KnownName(), count: Self.places)
    }

    deinit {
        unsafe self.names.deallocate()
        unsafe self.known.deallocate()
    }

    /// Takes a name apart.
    @inline(__always)
    func find(_ name: Bytes) -> KnownName {
        let place = Int(truncatingIfNeeded: name.hash) & (Self.places - 1)
        if self.has(name, place) { return unsafe self.known[place] }
        // Names that fall together share two places.
        let other = place ^ 1
        if self.has(name, other) { return unsafe self.known[other] }
        return unsafe self.learn(name, self.known[place].length == 0 || self.known[other].length > 0 ? place : other)
    }

    @inline(__always)
    private func has(_ name: Bytes, _ place: Int) -> Bool {
        guard unsafe self.known[place].length == name.count, name.count > 0 else { return false }
        return unsafe Bytes(self.names + place * Self.keptBytes, name.count).equals(name)
    }

    @inline(never)
    private func learn(_ name: Bytes, _ place: Int) -> KnownName {
        let parts = ExpandedName(name)
        let isContent = parts.namespace.equals(self.contentNamespace)
        var known = KnownName()
        known.length = name.count
        known.namespaceCount = parts.namespace.count
        known.localStart = unsafe parts.local.start - name.start
        known.localCount = parts.local.count
        known.prefixStart = unsafe parts.prefix.start - name.start
        known.prefixCount = parts.prefix.count
        known.code = Vocabulary.shared.code(
            local: parts.local, namespace: parts.namespace, contentNamespace: self.contentNamespace)
        if isContent {
            if parts.local.equals("message") { known.kind = .message }
            if parts.local.equals("presence") { known.kind = .presence }
            if parts.local.equals("iq") { known.kind = .iq }
        }
        known.isProtected =
            parts.namespace.equals(XMLNamespace.securityLabel) || parts.namespace.equals(XMLNamespace.xmlSignature)
            || parts.namespace.equals(XMLNamespace.confidentialityLabel)
            || parts.namespace.equals(XMLNamespace.metadataBinding)
        if name.count <= Self.keptBytes {
            unsafe (self.names + place * Self.keptBytes).update(from: name.start, count: name.count)
            unsafe self.known[place] = known
        }
        return known
    }
}
