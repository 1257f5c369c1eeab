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
}
