import NIOCore
import XMPP

/// vCards (XEP-0054) of the peer's accounts and rooms, as they crossed in answer to local users, with their age.
///
/// A vCard is public: a server gives it to whoever asks (XEP-0054 §3.2). It goes from here when its lifetime is over, when
/// its owner announces another photo (XEP-0153, XEP-0084) or publishes a new card (XEP-0292), when a room says that its
/// picture changed (XEP-0045 status 104), and when a local user sets it. Other changes show when the lifetime is over.
struct VCardCache {
    private struct Card {
        /// The element, in canonical form.
        var xml: String
        var since: NIODeadline
        /// What the owner had announced when it crossed; `nil`: nothing that was heard.
        var photo: String?
        /// SHA-1 of the photo in the card, in hexadecimal; empty where there is none.
        var ownPhoto: String
    }

    private var cards: LeastRecentlyUsed<String, Card>
    /// The photo that each owner announced last, by his bare address.
    private var photos: LeastRecentlyUsed<String, String>
    private let longest: Int
    private let reader = StanzaReader()

    /// - Parameters:
    ///   - longest: bytes of one card; a larger one is not kept.
    ///   - bytes: of all.
    init(count: Int, longest: Int, bytes: Int, photos: Int) {
        cards = LeastRecentlyUsed(count: count, weight: bytes)
        self.photos = LeastRecentlyUsed(count: photos)
        self.longest = longest
    }

    var count: Int { cards.count }
    var byteCount: Int { cards.weight }

    /// When the oldest card crossed.
    var oldest: NIODeadline? {
        var oldest: NIODeadline?
        cards.forEach { oldest = min(oldest ?? $1.since, $1.since) }
        return oldest
    }

    mutating func removeAll() { cards.removeAll() }

    /// Whether a request asks for the vCard of an account, a room or a server, and for nothing else.
    static func isRequest(_ request: Stanza) -> Bool {
        request.kind == .iq && request.type == .get && request.elementCount == 2 && request.hasChild(.vCard)
            && !request.toHasResource
    }

    /// The answer to a request crossed.
    mutating func learn(_ answer: Stanza, now: NIODeadline) {
        let owner = answer.fromText
        cards.remove(owner)
        let children = answer.root.children
        guard answer.type == .result, answer.byteCount <= longest, children.count == 1, let card = children.first,
            card.interned == .vCard
        else { return }
        let xml = card.xml
        cards.set(
            owner, Card(xml: xml, since: now, photo: photos[owner], ownPhoto: Self.photo(of: card)),
            weight: 128 + owner.utf8.count + xml.utf8.count)
    }

    /// - Parameter lifetime: a card that is older is not given, and forgotten.
    mutating func answer(to request: Stanza, lifetime: TimeAmount, now: NIODeadline) -> Stanza? {
        let owner = request.toText
        guard Self.isRequest(request), let id = request.idRange, let card = cards.use(owner) else { return nil }
        guard now < card.since + lifetime else {
            cards.remove(owner)
            return nil
        }
        let text =
            "<iq to='\(request.fromText)' from='\(owner)' type='result' id='\(request.text(in: id))'>\(card.xml)</iq>"
        do throws(StreamError) {
            return try reader.read(ByteBuffer(string: text))
        } catch {
            return nil
        }
    }

    // MARK: Changes

    mutating func forget(_ owner: String) {
        if !cards.isEmpty { cards.remove(owner) }
    }

    /// An available presence of the peer came.
    mutating func learnPhoto(_ presence: Stanza) {
        guard presence.hasChild(.photoUpdate),
            let update = presence.root.children.first(where: { $0.interned == .photoUpdate }),
            // Without the element the client does not know yet (XEP-0153 §4.2).
            let element = update.firstChild("photo", "vcard-temp:x:update")
        else { return }
        let owner = presence.fromBareText
        let photo = element.text
        guard photo.utf8.count <= 64 else { return }
        if photos.use(owner) != photo { photos.set(owner, photo) }
        guard var card = cards[owner], card.photo != photo else { return }
        guard card.photo == nil, card.ownPhoto == photo else { return cards.remove(owner) }
        card.photo = photo
        cards.set(owner, card, weight: 128 + owner.utf8.count + card.xml.utf8.count)
    }

    /// A message of the peer came: events of publish-subscribe and of rooms tell of changes.
    mutating func learnChange(_ message: Stanza) {
        guard !cards.isEmpty else { return }
        if message.hasChild(.publishedEvent) {
            let nodes = message.root.children.filter { $0.interned == .publishedEvent }
                .flatMap(\.children).compactMap { $0.attribute("node") }
            if nodes.contains(where: Self.nodes.contains) { cards.remove(message.fromBareText) }
        } else if message.type == .groupchat, message.hasChild(.mucUser), RoomStatus(message).codes.contains(104) {
            cards.remove(message.fromBareText)
        }
    }

    /// Where avatars (XEP-0084) and vCards (XEP-0292) are published.
    private static let nodes = ["urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data", "urn:xmpp:vcard4"]

    private static func photo(of card: Element) -> String {
        guard let data = card.firstChild("PHOTO", XMLNamespace.vCard)?.firstChild("BINVAL", XMLNamespace.vCard),
            let bytes = Base64.bytes(of: data.text, skipsWhiteSpace: true), !bytes.isEmpty
        else { return "" }
        return SHA1.digest(bytes).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
