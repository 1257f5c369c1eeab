import XMPP

/// Puts another word in the place of each: as long, of characters of the same kind, and always the same one for the
/// same word, whatever its capitals.
///
/// Different words stay different. Every character of the result depends on all of the word and on the key, so that
/// words that begin alike do not stay alike; a word of one letter is only exchanged for another letter.
struct WordCipher: Sendable {
    let hash: SipHash

    /// - Parameter alphabets: of each character.
    func replaced(_ word: ArraySlice<Unicode.Scalar>, alphabets: [RedactionAlphabet]) -> [Unicode.Scalar] {
        var places = zip(word, alphabets).map { $1.place(of: $0) }
        // Two passes, each of which can be undone with the key: forwards each place is moved by what stands before it,
        // then backwards by what stands behind it.
        var state = hash(UInt64(places.count), 1)
        for index in places.indices {
            let place = places[index]
            places[index] = Self.moved(place, by: state, of: alphabets[index].count)
            state = hash(state, UInt64(place))
        }
        state = hash(UInt64(places.count), 2)
        for index in places.indices.reversed() {
            let place = places[index]
            places[index] = Self.moved(place, by: state, of: alphabets[index].count)
            state = hash(state, UInt64(place))
        }
        return zip(places, alphabets).map { $1.character(at: $0) }
    }

    private static func moved(_ place: UInt32, by amount: UInt64, of count: UInt32) -> UInt32 {
        UInt32((UInt64(place) + amount % UInt64(count)) % UInt64(count))
    }
}
