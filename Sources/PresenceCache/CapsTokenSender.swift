import NIOCore
package import XMPP

/// Gives numbers to entity capabilities (XEP-0115) that leave for the link, so that each `<c/>` crosses whole once and
/// then as a number.
///
/// The other bridge always puts the whole back (``CapsTokenReceiver``): each subscriber's first presence and each
/// change must carry it (XEP-0115 §8.4), and a bridge cannot know what is somebody's first. A number goes with its
/// meaning until a stanza that told it is known to have arrived, so that stanzas which expire, are replaced or are cut
/// anew take no meaning with them. Numbers grow and are never used again; the receiver keeps twice as many as the
/// sender uses.
///
/// What a user writes in the namespace of the numbers is taken out, all of it. On the link:
/// `<t xmlns='urn:skywave:caps:0' n='7'><c …/></t>`, later `<t xmlns='urn:skywave:caps:0' n='7'/>`.
package struct CapsTokenSender: ~Copyable {
    package struct Shortened: Equatable, Sendable {
        package var stanza: Stanza
        /// The number whose meaning goes with the stanza; ``CapsTokenSender/arrived(_:)`` is told when it is there.
        package var defined: UInt32?
    }

    private struct Token {
        var number: UInt32
        var hasArrived = false
    }

    /// How many numbers are in use.
    package static let used: UInt32 = 2_048
    /// Longer capabilities cross as they are.
    static let longest = 1_024

    private var tokens: [String: Token] = [:]
    private var elements: [UInt32: String] = [:]
    private var last: UInt32 = 0
    private let reader = StanzaReader()

    package init() {}

    package var count: Int { tokens.count }

    /// The stanza as it is to cross.
    package mutating func shortened(_ stanza: Stanza) -> Shortened {
        let isForged = stanza.hasChild(.capsToken)
        guard stanza.kind == .presence, isForged || stanza.hasChild(.caps) else { return Shortened(stanza: stanza) }
        var found: [String] = []
        _ = stanza.text(replacing: [.caps]) { _, xml in
            found.append(xml)
            return xml
        }
        var defined: UInt32?
        var token: String?
        // More than one is no valid presence; it crosses as it is.
        if found.count == 1, let element = found.first, element.utf8.count <= Self.longest, last < .max {
            let known = tokens[element] ?? add(element)
            if !known.hasArrived { defined = known.number }
            token = CapsToken.xml(known.number, known.hasArrived ? nil : element)
        }
        guard isForged || token != nil else { return Shortened(stanza: stanza) }
        let text = stanza.text(replacing: [.caps, .capsToken]) { name, xml in
            name == .capsToken ? "" : token ?? xml
        }
        do throws(StreamError) {
            return Shortened(stanza: try reader.read(ByteBuffer(string: text)), defined: defined)
        } catch {
            return Shortened(stanza: stanza)
        }
    }

    private mutating func add(_ element: String) -> Token {
        last += 1
        if last > Self.used, let oldest = elements.removeValue(forKey: last - Self.used) { tokens[oldest] = nil }
        let token = Token(number: last)
        tokens[element] = token
        elements[last] = element
        return token
    }

    /// A stanza that told what a number means is on the other side, durably or at least for this session.
    package mutating func arrived(_ number: UInt32) {
        guard let element = elements[number] else { return }
        tokens[element]?.hasArrived = true
    }

    /// The other side does not know a number: its meaning goes with it again.
    package mutating func wasUnknown(_ number: UInt32) {
        guard let element = elements[number] else { return }
        tokens[element]?.hasArrived = false
    }

    /// The other bridge started anew and knows no number.
    package mutating func peerRestarted() {
        for number in elements.keys { wasUnknown(number) }
    }
}

/// The element that stands for capabilities.
enum CapsToken {
    static func xml(_ number: UInt32, _ meaning: String?) -> String {
        let start = "<t xmlns='\(XMLNamespace.capsToken)' n='\(number)'"
        return meaning.map { start + ">" + $0 + "</t>" } ?? start + "/>"
    }
}
