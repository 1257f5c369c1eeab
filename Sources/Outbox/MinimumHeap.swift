/// A binary heap that gives its smallest element first.
struct MinimumHeap<Element: Comparable> {
    private var elements: [Element] = []

    var count: Int { elements.count }
    var first: Element? { elements.first }

    mutating func removeAll() {
        elements.removeAll(keepingCapacity: true)
    }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var index = elements.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard elements[index] < elements[parent] else { break }
            elements.swapAt(index, parent)
            index = parent
        }
    }

    @discardableResult
    mutating func removeFirst() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let smallest = elements.first else { return last }
        elements[0] = last
        var index = 0
        while true {
            var least = index
            let left = 2 * index + 1
            if left < elements.count, elements[left] < elements[least] { least = left }
            if left + 1 < elements.count, elements[left + 1] < elements[least] { least = left + 1 }
            guard least != index else { return smallest }
            elements.swapAt(index, least)
            index = least
        }
    }
}
