/// How much of a stream a reader takes. All limits of the XML layer stand in this one table.
package struct XMLLimits: Equatable, Sendable {
    /// Greatest size of one stanza in bytes, on the wire and in canonical form. RFC 6120 §13.12 forbids less than
    /// 10 000; servers use 256 KiB to 512 KiB. A larger stanza is skipped and reported, and the stream lives on.
    package var stanzaBytes: Int
    /// How many bytes of one stanza over the limit are skipped before the stream is ended.
    package var skippedBytes: Int
    /// Greatest nesting below the stream root. The parser keeps memory per open element.
    package var depth: Int
    /// Attributes of one element, and namespace declarations of one element: the parser compares each with each.
    package var attributes: Int
    /// Elements of one stanza: each costs an index entry of 16 bytes. More count as oversize.
    package var elements: Int
    /// Greatest length of a local name in bytes.
    package var nameBytes: Int
    /// Greatest length of a namespace name in bytes.
    package var namespaceBytes: Int
    /// Greatest length of one unfinished tag: the parser scans it anew with every read.
    package var tokenBytes: Int
    /// Bytes of the whole stream, from its first on; `nil` after authentication.
    package var streamBytes: Int?
    /// Elements of the whole stream; `nil` after authentication.
    package var streamElements: Int?

    /// A stream from the site's own server, after authentication.
    package static let local = XMLLimits(
        stanzaBytes: 524_288, skippedBytes: 2_097_152, depth: 64, attributes: 64, elements: 8_192, nameBytes: 256,
        namespaceBytes: 1_024, tokenBytes: 65_536, streamBytes: nil, streamElements: nil)

    /// A link to another bridge: the same, since what one side took must pass at the other.
    package static let link = XMLLimits.local

    /// Any stream whose peer has proved nothing yet: enough for every negotiation, not for more.
    package static let beforeAuthentication: XMLLimits = {
        var limits = XMLLimits.local
        limits.stanzaBytes = 8_192
        limits.skippedBytes = 8_192
        limits.tokenBytes = 8_192
        limits.streamBytes = 8_192
        limits.streamElements = 32
        return limits
    }()

    /// How much input one parser sees before it is made anew at a stanza's end. Expat remembers every name it ever
    /// saw, so a peer that makes up names would otherwise grow it without bound; see ``StreamReader``.
    static let parserLifetimeBytes = 1_048_576
}
