package import NIOCore

/// How much of its history a room may send to somebody who enters (XEP-0045 §7.2.14).
package struct RoomHistoryLimit: Equatable, Sendable {
    /// `stanzas`: at most so many messages; with 0 none at all.
    package var stanzas: Int?
    /// `chars`: at most so many characters of XML.
    package var characters: Int?
    /// `age`: none older than this, in whole seconds.
    package var age: TimeAmount?

    package init(stanzas: Int? = nil, characters: Int? = nil, age: TimeAmount? = nil) {
        self.stanzas = stanzas
        self.characters = characters
        self.age = age
    }

    /// The attributes of a `history` element that asks for no more than this and no more than was asked for; `nil` where
    /// that is what was asked for already.
    func limiting(_ asked: [(name: String, value: String)]) -> [(String, String)]? {
        // Whoever asks for nothing gets nothing.
        if asked.contains(where: { ["maxchars", "maxstanzas"].contains($0.name) && $0.value == "0" }) { return nil }
        var attributes = asked.map { ($0.name, $0.value) }
        if stanzas == 0 {
            attributes = [("maxchars", "0")]
        } else {
            limit("maxstanzas", stanzas, in: &attributes)
            limit("maxchars", characters, in: &attributes)
            limit("seconds", age.map { Int(clamping: $0.nanoseconds / 1_000_000_000) }, in: &attributes)
        }
        attributes.sort { $0.0 < $1.0 }
        let before = asked.sorted { $0.name < $1.name }
        return attributes.elementsEqual(before) { $0.0 == $1.name && $0.1 == $1.value } ? nil : attributes
    }

    private func limit(_ name: String, _ most: Int?, in attributes: inout [(String, String)]) {
        guard let most else { return }
        guard let index = attributes.firstIndex(where: { $0.0 == name }) else {
            attributes.append((name, String(most)))
            return
        }
        // What is no number is asked for by nobody who knows; then the limit stands.
        if Int(attributes[index].1).map({ $0 < 0 || $0 > most }) ?? true { attributes[index].1 = String(most) }
    }
}
