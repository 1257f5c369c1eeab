/// The namespace declarations in force, as the sender wrote them.
///
/// Needed only inside security labels and signatures, whose prefixes must stay: names in content (`xsi:type`) may use
/// any prefix in scope. Everything else is written without prefixes.
struct NamespaceScope {
    struct Declaration {
        var prefix: String
        var namespace: String
        /// Of the element that declared it; 0 is the stream's own header.
        var depth: Int
    }

    private(set) var declarations: [Declaration] = []

    mutating func declare(prefix: String, namespace: String, depth: Int) {
        self.declarations.append(Declaration(prefix: prefix, namespace: namespace, depth: depth))
    }

    /// Forgets what elements at `depth` and below declared.
    mutating func leave(depth: Int) {
        while let last = self.declarations.last, last.depth >= depth { self.declarations.removeLast() }
    }

    mutating func removeAll() {
        self.declarations.removeAll(keepingCapacity: true)
    }

    /// What a name's prefix means here.
    func namespace(of prefix: String) -> Declaration? {
        self.declarations.last { $0.prefix == prefix }
    }

    /// The prefixes to declare on an element of a protected subtree: on its root all that are in force inside the
    /// stanza, below it those that the element declares itself; sorted by prefix.
    func declarations(forDepth depth: Int, isRoot: Bool) -> [Declaration] {
        var result: [Declaration] = []
        for declaration in self.declarations.reversed() {
            guard declaration.depth >= (isRoot ? 1 : depth) else { break }
            if declaration.prefix.isEmpty || result.contains(where: { $0.prefix == declaration.prefix }) { continue }
            result.append(declaration)
        }
        return result.sorted { $0.prefix < $1.prefix }
    }

    /// Whether only the stream's header declares a prefix, so that an element that uses it must do so itself.
    func isDeclaredByStream(_ prefix: Bytes) -> Bool {
        let declaration = self.declarations.last { prefix.equals($0.prefix) }
        return (declaration?.depth ?? 0) == 0
    }
}
