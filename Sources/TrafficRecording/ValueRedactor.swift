/// Replaces the words of a text or of an attribute's value.
///
/// Words are runs of letters and digits; all else stays, the references of XML (`&amp;`) too. The digits of UUIDs and
/// of hexadecimal numbers stay hexadecimal, since what they cost on a link depends on it.
struct ValueRedactor: Sendable {
    let cipher: WordCipher

    /// Values shorter than this are read as letters and a number, longer ones as random.
    private static let randomLength = 16
    private static let hexadecimalLength = 8
    private static let uuidLength = 36
    /// A number of this many digits at the end of an id is a counter.
    private static let counterDigits = 6

    /// - Parameters:
    ///   - value: as it stands in canonical XML.
    ///   - isID: whether it is an id: a counter at its end stays, and so does the last character of base64, which not
    ///     every character may be.
    func redacted(_ value: String, isID: Bool = false) -> String {
        let text = Array(value.unicodeScalars)
        let kept = isID ? Self.kept(text) : 0
        var result = String.UnicodeScalarView()
        var index = 0
        let end = text.count - kept
        while index < end {
            if text[index] == "&", let semicolon = text[index...].firstIndex(of: ";") {
                result.append(contentsOf: text[index...semicolon])
                index = semicolon + 1
            } else if let uuid = uuid(text[index..<end]) {
                result.append(contentsOf: uuid)
                index += uuid.count
            } else {
                let word = text[index..<end].prefix { RedactionAlphabet.of($0) != nil }
                if word.isEmpty {
                    result.append(text[index])
                    index += 1
                } else {
                    result.append(contentsOf: redacted(word: word))
                    index += word.count
                }
            }
        }
        result.append(contentsOf: text[max(index, end)...])
        return String(result)
    }

    private func redacted(word: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
        if word.count >= Self.hexadecimalLength, word.contains(where: Self.isDigit),
            let alphabet = Self.hexadecimal(word)
        {
            return cipher.replaced(word, alphabets: Array(repeating: alphabet, count: word.count))
        }
        // `watch7` is a word and a number: other numbers with the same word then share it, as they did before.
        let letters = word.prefix { !Self.isDigit($0) }
        let parts = word.count < Self.randomLength ? [letters, word.dropFirst(letters.count)] : [word]
        return parts.flatMap { part in
            cipher.replaced(part, alphabets: part.compactMap { RedactionAlphabet.of($0) })
        }
    }

    /// The UUID (RFC 9562 §4) that a text begins with, its version and variant kept.
    private func uuid(_ text: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar]? {
        let dashes = [8, 13, 18, 23]
        guard text.count >= Self.uuidLength, dashes.allSatisfy({ text[text.startIndex + $0] == "-" }) else {
            return nil
        }
        var uuid = Array(text.prefix(Self.uuidLength))
        let digits = uuid.indices.filter { !dashes.contains($0) }
        guard let alphabet = Self.hexadecimal(digits.map { uuid[$0] }[...]) else { return nil }
        let free = digits.filter { $0 != 14 && $0 != 19 }
        let replaced = cipher.replaced(
            free.map { uuid[$0] }[...], alphabets: Array(repeating: alphabet, count: free.count))
        for (index, digit) in zip(free, replaced) { uuid[index] = digit }
        return uuid
    }

    /// The alphabet of hexadecimal digits in one case that all these are in.
    private static func hexadecimal(_ word: ArraySlice<Unicode.Scalar>) -> RedactionAlphabet? {
        if word.allSatisfy({ isDigit($0) || ("a"..."f").contains($0) }) { return .hexadecimal }
        return word.allSatisfy { isDigit($0) || ("A"..."F").contains($0) } ? .capitalHexadecimal : nil
    }

    /// How many characters at the end of an id stay as they are.
    private static func kept(_ id: [Unicode.Scalar]) -> Int {
        let padding = id.reversed().prefix { $0 == "=" }.count
        if padding > 0 { return min(padding + 1, id.count) }
        let counter = id.reversed().prefix(while: isDigit).count
        if (1...counterDigits).contains(counter), !id.dropLast(counter).contains(where: isDigit) { return counter }
        let isBase64 = id.allSatisfy {
            $0.isASCII && (RedactionAlphabet.of($0) != nil || "+/-_".unicodeScalars.contains($0))
        }
        return isBase64 && id.count >= randomLength && !id.count.isMultiple(of: 4) && hexadecimal(id[...]) == nil
            ? 1 : 0
    }

    private static func isDigit(_ character: Unicode.Scalar) -> Bool { ("0"..."9").contains(character) }
}
