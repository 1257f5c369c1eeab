/// What the memory of tokens holds at most. What is forgotten keeps its token for good.
package struct IdentifierLimits: Equatable, Sendable {
    /// Tokens that are remembered; about 250 bytes of memory each.
    package var tokens: Int
    /// How many of them one local user may have, so that nobody makes the others' tokens be forgotten. A room, or
    /// whoever else speaks to many at once, may have half of all.
    package var tokensPerOwner: Int
    /// Ids of the other side that are remembered because they must not be folded.
    package var foreign: Int

    package static let standard = IdentifierLimits(tokens: 32_768, tokensPerOwner: 4_096, foreign: 4_096)

    package init(tokens: Int, tokensPerOwner: Int, foreign: Int) {
        self.tokens = max(2, tokens)
        self.tokensPerOwner = min(max(1, tokensPerOwner), max(2, tokens))
        self.foreign = max(1, foreign)
    }
}

/// What a folder has done since it was made.
package struct IdentifierCounters: Equatable, Sendable {
    /// Tokens that were given out.
    package var tokens: UInt64 = 0
    /// Those of them that were given to an id only because it looked like a token.
    package var escaped: UInt64 = 0
    /// Ids that left as tokens, each mention counted.
    package var folded: UInt64 = 0
    /// Characters that this saved, before compression.
    package var savedCharacters: UInt64 = 0
    /// Tokens that came back and were replaced by the original.
    package var restored: UInt64 = 0
    /// Tokens that were forgotten to make room.
    package var evicted: UInt64 = 0

    package init() {}
}
