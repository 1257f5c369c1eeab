/// The namespace declarations in force, as the sender wrote them.
///
/// Needed only inside security labels and signatures, whose prefixes must stay: names in content (`xsi:type`) may use
/// any prefix in scope. Everything else is written without prefixes.
struct NamespaceScope {
    struct Declaration {
        var prefix: String
        var namespace: String
        var depth: Int
        /// Whether the output declares it at this point.
        var isWritten: Bool
    }

    private(set) var declarations: [Declaration] = []

    mutating func declare(prefix: String, namespace: String, depth: Int) {
        self.declarations.append(Declaration(prefix: prefix, namespace: namespace, depth: depth, isWritten: false))
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
    mutating func takeDeclarations(depth: Int, isRoot: Bool) -> [Declaration] {
        var result: [Declaration] = []
        for index in self.declarations.indices.reversed() {
            let declaration = self.declarations[index]
            guard declaration.depth >= (isRoot ? 1 : depth) else { break }
            self.declarations[index].isWritten = true
            if declaration.prefix.isEmpty || result.contains(where: { $0.prefix == declaration.prefix }) { continue }
            result.append(declaration)
        }
        return result.sorted { $0.prefix < $1.prefix }
    }

    /// Marks the declaration of a prefix as written; `false` where it is already, or there is none.
    mutating func markWritten(_ prefix: String) -> Bool {
        guard let index = self.declarations.lastIndex(where: { $0.prefix == prefix }),
            !self.declarations[index].isWritten
        else { return false }
        self.declarations[index].isWritten = true
        return true
    }

    /// Forgets what was written, when the protected subtree ends.
    mutating func forgetWritten() {
        for index in self.declarations.indices { self.declarations[index].isWritten = false }
    }
}
