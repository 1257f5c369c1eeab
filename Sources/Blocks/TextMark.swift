/// The control bytes of a block's text (docs/link-protocol.md, "Text").
///
/// XML cannot hold any of them (XML 1.0 §2.2), so none can come from a user: what is not one of these stands for itself.
enum TextMark {
    /// Ends a stanza.
    static let end: UInt8 = 0x00
    /// Before a record: how long it has waited.
    static let age: UInt8 = 0x01
    /// A record that is one stanza for several recipients.
    static let folded: UInt8 = 0x02
    /// A record that is a part of a stanza.
    static let fragment: UInt8 = 0x03
    /// Defines a phrase and stands for it.
    static let define: UInt8 = 0x04
    /// Ends a phrase's definition, a value, a recipient.
    static let stop: UInt8 = 0x05
    /// Stands for the recipient in a folded stanza.
    static let recipient: UInt8 = 0x06
    /// A record of bytes without marks.
    static let plain: UInt8 = 0x07
    /// In a phrase: a value that follows the reference.
    static let value: UInt8 = 0x08

    /// Ids whose bytes are in the raw section.
    static let lastID: UInt8 = 0x0B
    static let recentID: UInt8 = 0x0C
    static let uuid: UInt8 = 0x0D
    static let capitalUUID: UInt8 = 0x0E
    static let hexadecimal: UInt8 = 0x0F
    static let capitalHexadecimal: UInt8 = 0x15
    static let base64URL: UInt8 = 0x16
    static let base64: UInt8 = 0x17
    /// Ids near the last one of eight digits, and those that follow it; see ``SerialIDs``. The first is a list's mark too: a
    /// list stands in no stanza.
    static let nearID: UInt8 = 0x18
    static let nextLowerID: UInt8 = 0x1E
    static let nextUpperID: UInt8 = 0x1F

    /// References to phrases: one of these and a byte from 0x20 on.
    static let firstReference: UInt8 = 0x10
    static let lastReference: UInt8 = 0x14

    static let listReference: UInt8 = 0x18
    static let listDefinition: UInt8 = 0x19
    static let listChange: UInt8 = 0x1A

    /// The beginnings of most stanzas.
    static let message: UInt8 = 0x1B
    static let presence: UInt8 = 0x1C
    static let iq: UInt8 = 0x1D

    /// Whether a byte stands for itself.
    @inline(__always)
    static func isLiteral(_ byte: UInt8) -> Bool { byte >= 0x20 || byte == 0x09 || byte == 0x0A }
}

/// What the tables of one compression context hold at most. Constants of version 1: both ends count alike.
enum ContextLimits {
    /// Second byte of a reference: 0x20 to 0xFF.
    static let slotsPerMark = 224
    static let slots = 5 * slotsPerMark
    static let phraseBytes = 1_024
    static let recentIDs = 128
    /// Characters of an id that is remembered.
    static let recentIDBytes = 64
    static let lists = 64
    static let recipients = 512
    /// Bytes of all recipients of one list.
    static let listBytes = 16_384
    /// What counts of a history: twice DEFLATE's window, since a phrase in use may have been defined before that.
    static let historyBytes = 65_535
}
