/// A name as expat tells it: namespace, local name and prefix, parted by ``ReaderCore/separator``.
struct ExpandedName {
    let namespace: Bytes
    let local: Bytes
    let prefix: Bytes

    @inline(__always)
    init(_ name: Bytes) {
        guard let first = name.firstIndex(of: ReaderCore.separator) else {
            self.namespace = name.prefix(0)
            self.local = name
            self.prefix = name.prefix(0)
            return
        }
        self.namespace = name.prefix(first)
        let rest = name.dropFirst(first + 1)
        if let second = rest.firstIndex(of: ReaderCore.separator) {
            self.local = rest.prefix(second)
            self.prefix = rest.dropFirst(second + 1)
        } else {
            self.local = rest
            self.prefix = rest.prefix(0)
        }
    }

    /// The parts of a name that was taken apart before.
    @inline(__always)
    init(_ name: Bytes, _ known: KnownName) {
        self.namespace = name.prefix(known.namespaceCount)
        unsafe self.local = Bytes(name.start + known.localStart, known.localCount)
        unsafe self.prefix = Bytes(name.start + known.prefixStart, known.prefixCount)
    }

    /// Order of namespaces, then of local names.
    @inline(__always)
    func precedes(_ other: ExpandedName) -> Bool {
        if self.namespace.count == 0, other.namespace.count == 0 { return self.local.precedes(other.local) }
        return self.namespace.equals(other.namespace)
            ? self.local.precedes(other.local) : self.namespace.precedes(other.namespace)
    }
}
