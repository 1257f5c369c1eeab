import XMPP

/// Base64 of short texts, for SASL authorization identities (RFC 6120 §6.4.2).
extension Base64 {
    static func encode(_ text: String) -> String { encode(Array(text.utf8)) }

    /// `nil` where the text is not canonical Base64 of UTF-8.
    static func decode(_ text: String) -> String? {
        bytes(of: text).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
