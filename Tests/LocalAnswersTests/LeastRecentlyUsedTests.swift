@testable import LocalAnswers
import Testing
import TestSupport

@Suite struct LeastRecentlyUsedTests {
    @Test func `what was not used for longest goes first, and what is too heavy does not come in`() {
        var table = LeastRecentlyUsed<String, Int>(count: 3, weight: 10)
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] { table.set(key, value, weight: 3) }
        #expect(table.use("a") == 1)
        table.set("d", 4, weight: 1)
        #expect(table["b"] == nil && table["a"] == 1 && table["c"] == 3 && table["d"] == 4 && table.weight == 7)
        table.set("e", 5, weight: 10)
        #expect(table.count == 1 && table["e"] == 5)
        #expect(!table.set("e", 6, weight: 11) && table.isEmpty && table.weight == 0)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `it does what a list of keys in order of use would do`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var table = LeastRecentlyUsed<Int, Int>(count: 8, weight: 40)
        var model: [(key: Int, value: Int, weight: Int)] = []
        for step in 0..<3_000 {
            let key = Int.random(in: 0..<16, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0:
                table.remove(key)
                model.removeAll { $0.key == key }
            case 1:
                let found = model.firstIndex { $0.key == key }.map { model.remove(at: $0) }
                if let found { model.append(found) }
                #expect(table.use(key) == found?.value)
            case _:
                let weight = Int.random(in: 1...12, using: &generator)
                table.set(key, step, weight: weight)
                model.removeAll { $0.key == key }
                while model.count >= 8 || model.reduce(0, { $0 + $1.weight }) + weight > 40 { model.removeFirst() }
                model.append((key, step, weight))
            }
            var order: [Int] = []
            table.forEach { key, _ in order.append(key) }
            #expect(
                order == model.map(\.key) && table.weight == model.reduce(0) { $0 + $1.weight },
                "seed \(seed) step \(step)")
        }
    }
}
