/// A list of numbers, each at most once, that lie in an array of links of somebody else.
struct LinkedList {
    /// The neighbours of one number; -1 where there is none.
    struct Link {
        var older: Int32 = -1
        var newer: Int32 = -1
    }

    private(set) var oldest: Int32 = -1
    private(set) var newest: Int32 = -1
    private(set) var count = 0

    mutating func append(_ index: Int32, _ links: inout [Link]) {
        links[Int(index)] = Link(older: self.newest, newer: -1)
        if self.newest >= 0 { links[Int(self.newest)].newer = index } else { self.oldest = index }
        self.newest = index
        self.count += 1
    }

    /// The number must be in this list.
    mutating func remove(_ index: Int32, _ links: inout [Link]) {
        let own = links[Int(index)]
        if own.older >= 0 { links[Int(own.older)].newer = own.newer } else { self.oldest = own.newer }
        if own.newer >= 0 { links[Int(own.newer)].older = own.older } else { self.newest = own.older }
        self.count -= 1
    }
}
