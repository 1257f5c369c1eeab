/// Finds the word that somebody probably meant.
package enum Spelling {
    /// The nearest of the candidates when it is near enough to be worth naming, else `nil`.
    package static func suggestion(for word: String, among candidates: some Sequence<String>) -> String? {
        let limit = max(1, word.count / 3)
        var best: (distance: Int, candidate: String)?
        for candidate in candidates.sorted() {
            let distance = distance(from: normalised(word), to: normalised(candidate))
            if distance <= limit, best.map({ distance < $0.distance }) ?? true {
                best = (distance, candidate)
            }
        }
        return best?.candidate
    }

    /// `max_bytes` and `maxBytes` mean `max-bytes`.
    private static func normalised(_ word: String) -> [UInt8] {
        word.utf8.compactMap { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
            case UInt8(ascii: "-"), UInt8(ascii: "_"): nil
            default: byte
            }
        }
    }

    /// Edit distance with neighbouring letters exchanged counted as one (optimal string alignment).
    private static func distance(from left: [UInt8], to right: [UInt8]) -> Int {
        if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
        // A key of a configuration is short; anything longer is not a slip of the finger.
        guard left.count <= 64, right.count <= 64 else { return Int.max }
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in 1...left.count {
            var current = [row]
            for column in 1...right.count {
                let substitution = previous[column - 1] + (left[row - 1] == right[column - 1] ? 0 : 1)
                var value = min(previous[column] + 1, current[column - 1] + 1, substitution)
                if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
                    value = min(value, beforePrevious[column - 2] + 1)
                }
                current.append(value)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
