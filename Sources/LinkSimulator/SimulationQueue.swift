/// What happens when, in virtual time. Things of the same time happen in the order in which they were entered.
struct SimulationQueue {
    typealias Step = () -> Void

    private struct Entry {
        let time: Int64
        let order: UInt64
        let step: Step

        static func < (left: Entry, right: Entry) -> Bool {
            left.time != right.time ? left.time < right.time : left.order < right.order
        }
    }

    private var heap: [Entry] = []
    private var entered: UInt64 = 0

    var nextTime: Int64? { heap.first?.time }
    var count: Int { heap.count }

    mutating func enter(at time: Int64, _ step: @escaping Step) {
        heap.append(Entry(time: time, order: entered, step: step))
        entered += 1
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place] < heap[parent] else { break }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    mutating func takeFirst() -> (time: Int64, step: Step)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var place = 0
            while true {
                var least = place
                for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child] < heap[least] {
                    least = child
                }
                guard least != place else { break }
                heap.swapAt(place, least)
                place = least
            }
        }
        return (first.time, first.step)
    }
}
