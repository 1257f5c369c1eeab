import TestSupport
import Testing

@testable import PresenceCache

@Suite struct TextTableTests {
    private func hold(_ text: [UInt8], in table: inout TextTable) -> TextTable.ID? {
        unsafe text.withUnsafeBytes { unsafe table.hold($0) }
    }

    @Test(arguments: [UInt64(1), 2, 3]) func `strings are kept once, for as long as somebody holds them`(_ seed: UInt64)
    {
        var generator = SeededGenerator(seed: seed)
        var table = TextTable(maximumBytes: 4 << 20, key: (seed, 7))
        var held: [(id: TextTable.ID, text: [UInt8])] = []
        var ids: [[UInt8]: (id: TextTable.ID, count: Int)] = [:]
        for _ in 0..<30_000 {
            if held.count < 500 || Bool.random(using: &generator) && held.count < 3_000 {
                let count = [3, 20, 300, 2_000][Int.random(in: 0..<4, using: &generator)]
                let text = (0..<Int.random(in: 0...count, using: &generator)).map { _ in
                    UInt8.random(in: 0...1, using: &generator)
                }
                guard let id = hold(text, in: &table) else { continue }
                held.append((id, text))
                if text.isEmpty { continue }
                if let known = ids[text] { #expect(known.id == id) }
                ids[text] = (id, (ids[text]?.count ?? 0) + 1)
            } else {
                let (id, text) = held.remove(at: Int.random(in: 0..<held.count, using: &generator))
                table.release(id)
                guard let known = ids[text] else { continue }
                ids[text] = known.count > 1 ? (id, known.count - 1) : nil
            }
        }
        #expect(table.count == ids.count)
        for (id, text) in held { #expect(unsafe Array(table.bytes(id)) == text) }
        for (id, _) in held { table.release(id) }
        #expect(table.count == 0 && table.byteCount == 0)
    }

    @Test func `when it is full it takes no more, and room that is given back serves other sizes`() {
        var table = TextTable(maximumBytes: 1 << 20, key: (1, 2))
        func text(_ number: Int, _ count: Int) -> [UInt8] {
            unsafe withUnsafeBytes(of: number) { unsafe Array($0) } + Array(repeating: 7, count: count)
        }
        var ids: [TextTable.ID] = []
        while let id = hold(text(ids.count, 1_000), in: &table) { ids.append(id) }
        #expect(ids.count > 900 && ids.count < 1_049)
        for id in ids { table.release(id) }
        var smaller = 0
        while hold(text(smaller, 100), in: &table) != nil { smaller += 1 }
        #expect(smaller > 6_000)
        let none = hold(Array(repeating: 1, count: TextTable.longest + 1), in: &table)
        #expect(none == nil)
    }

    @Test func `hashes follow the key and every byte`() {
        func hash(_ text: [UInt8], _ key: (UInt64, UInt64)) -> UInt64 {
            unsafe text.withUnsafeBytes { unsafe KeyedHash(key: key).of($0) }
        }
        var seen: Set<UInt64> = []
        for count in 0..<40 {
            for place in 0...count {
                var text = [UInt8](repeating: 0, count: count)
                if place < count { text[place] = 1 }
                seen.insert(hash(text, (1, 2)))
                #expect(hash(text, (1, 2)) != hash(text, (1, 3)) && hash(text, (1, 2)) != hash(text, (2, 2)))
            }
        }
        #expect(seen.count == (0..<40).map { $0 + 1 }.reduce(0, +))
    }
}
