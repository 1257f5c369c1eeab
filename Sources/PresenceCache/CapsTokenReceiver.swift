import NIOCore
package import XMPP

/// Puts entity capabilities back where numbers stand for them (``CapsTokenSender``).
///
/// A number means what the bridge of this link said, and nothing on another link. Bounded: a newer number takes the
/// place of the one ``kept`` before it.
package struct CapsTokenReceiver: ~Copyable {
    package enum Restored: Equatable, Sendable {
        /// As the other side's user sent it.
        case whole(Stanza)
        /// The number is not known; the stanza is without capabilities, which clients bear, and the other side is to be
        /// told.
        case unknown(Stanza, UInt32)
    }

    /// How many numbers are kept.
    static let kept = CapsTokenSender.used * 2

    private var elements: [UInt32: (number: UInt32, element: String)] = [:]
    private let reader = StanzaReader()

    package init() {}

    package var count: Int { elements.count }

    package mutating func restored(_ stanza: Stanza) -> Restored {
        guard stanza.kind == .presence, stanza.hasChild(.capsToken) else { return .whole(stanza) }
        var unknown: UInt32?
        var isFirst = true
        // One at most is the other bridge's; more would be made up.
        let tokens = stanza.root.children.filter { $0.interned == .capsToken }
        let meaning = tokens.first.map { self.meaning($0) }
        let text = stanza.text(replacing: [.capsToken]) { _, _ in
            defer { isFirst = false }
            guard isFirst, let meaning else { return "" }
            switch meaning {
            case .element(let element): return element
            case .unknown(let number):
                unknown = number
                return ""
            case .nothing: return ""
            }
        }
        let whole: Stanza
        do throws(StreamError) {
            whole = try reader.read(ByteBuffer(string: text))
        } catch {
            return .whole(stanza)
        }
        return unknown.map { .unknown(whole, $0) } ?? .whole(whole)
    }

    private enum Meaning {
        case element(String)
        case unknown(UInt32)
        case nothing
    }

    private mutating func meaning(_ token: Element) -> Meaning {
        guard let number = token.attribute("n").flatMap({ UInt32($0) }) else { return .nothing }
        let children = token.children
        if let element = children.first {
            let xml = element.xml
            guard children.count == 1, element.interned == .caps, xml.utf8.count <= CapsTokenSender.longest else {
                return .nothing
            }
            elements[number % Self.kept] = (number, xml)
            return .element(xml)
        }
        guard let kept = elements[number % Self.kept], kept.number == number else { return .unknown(number) }
        return .element(kept.element)
    }

    /// The other bridge started anew and gives its numbers from the beginning.
    package mutating func peerRestarted() { elements = [:] }
}
