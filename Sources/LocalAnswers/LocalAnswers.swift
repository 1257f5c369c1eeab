package import NIOCore
package import XMPP

/// What the bridge may answer in the name of the peer's entities without asking over the link: only what is known for
/// certain, and only to whom its owner would tell it.
///
/// | Request | Known from |
/// |---|---|
/// | `disco#info` of a full address | what its last presence *to this user* announced (XEP-0115), and a result of that hash |
/// | `vcard-temp` of a bare address | an earlier answer that crossed, not older than its lifetime (XEP-0054) |
/// | ping of one's own place in a room | what the room said (XEP-0410) |
///
/// Nothing is learnt of an answer to nobody's request: the caller gives only answers that it found a request for. A pure
/// value for one peer; everything it keeps is bounded, and what is forgotten crosses. docs/local-answers.md.
package struct LocalAnswers: ~Copyable {
    /// What is remembered; rooms always are.
    package struct Subjects: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let discoInfo = Subjects(rawValue: 1)
        package static let vCards = Subjects(rawValue: 2)
    }

    package private(set) var subjects: Subjects
    private let limits: LocalAnswerLimits
    private var contacts: ContactCaps
    private var results: LeastRecentlyUsed<CapsHash, DiscoInfo>
    private var cards: VCardCache
    private var places: RoomPlaces
    private var counts = LocalAnswerStatus()

    package init(subjects: Subjects = [], limits: LocalAnswerLimits = LocalAnswerLimits()) {
        self.subjects = subjects
        self.limits = limits
        contacts = Self.contacts(limits)
        results = LeastRecentlyUsed(count: limits.discoResults, weight: limits.discoBytes)
        cards = Self.cards(limits)
        places = RoomPlaces(count: limits.roomPlaces)
    }

    private static func contacts(_ limits: LocalAnswerLimits) -> ContactCaps {
        ContactCaps(count: limits.contactResources, mostPerPair: limits.resourcesPerContact)
    }

    private static func cards(_ limits: LocalAnswerLimits) -> VCardCache {
        VCardCache(count: limits.vCards, longest: limits.vCardBytes, bytes: limits.allVCardBytes, photos: limits.photos)
    }

    /// Other rules hold for what crosses from now on. What is not remembered any more is forgotten; so are all vCards,
    /// since other rules may leave other parts of them.
    package mutating func rulesChanged(_ subjects: Subjects) {
        self.subjects = subjects
        cards = Self.cards(limits)
        guard !subjects.contains(.discoInfo) else { return }
        contacts = Self.contacts(limits)
        results.removeAll()
    }

    // MARK: Learning

    /// A presence or message of the peer came, as it is delivered.
    package mutating func remoteStanzaReceived(_ stanza: Stanza) {
        switch stanza.kind {
        case .presence:
            places.remotePresence(stanza)
            if subjects.contains(.discoInfo) { contacts.learn(stanza) }
            if subjects.contains(.vCards), stanza.type == .absent { cards.learnPhoto(stanza) }
        case .message:
            if stanza.isError { places.remoteError(stanza) }
            if subjects.contains(.vCards) { cards.learnChange(stanza) }
        case .iq, .other:
            break
        }
    }

    /// A stanza of a local user goes to the link, or is about to.
    package mutating func localStanzaCrossed(_ stanza: Stanza) {
        switch (stanza.kind, stanza.type) {
        case (.presence, .absent), (.presence, .unavailable):
            places.localPresence(stanza)
            // Who left a room is told nothing more of its occupants.
            if stanza.type == .unavailable, stanza.toHasResource { contacts.forget(from: stanza) }
        case (.presence, .unsubscribe):
            contacts.forget(from: stanza)
        case (.iq, .set):
            if stanza.hasChild(.vCard) { cards.forget(stanza.toBareText) }
        case (.presence, _), (.iq, _), (.message, _), (.other, _):
            break
        }
    }

    /// An answer crossed, in either direction, to a request that had crossed in the other.
    ///
    /// - Parameters:
    ///   - request: as it crossed, or without its payload, of which then nothing is learnt.
    ///   - keepsVCard: the answer is the peer's, and the profile wants such requests answered here.
    package mutating func answerCrossed(_ answer: Stanza, to request: Stanza, keepsVCard: Bool, now: NIODeadline) {
        places.pingAnswered(answer, request)
        if subjects.contains(.vCards), keepsVCard, VCardCache.isRequest(request), answer.fromEquals(request.toText) {
            cards.learn(answer, now: now)
        }
        if subjects.contains(.discoInfo) { learnResult(answer, request) }
    }

    /// Whether a request asks for a vCard that may be kept.
    package static func isVCardRequest(_ request: Stanza) -> Bool { VCardCache.isRequest(request) }

    private mutating func learnResult(_ answer: Stanza, _ request: Stanza) {
        guard answer.type == .result, let node = Self.node(ofRequest: request),
            answer.byteCount <= DiscoInfo.longest
        else { return }
        let announced = contacts.announced(to: request)
        guard let asked = Self.askedHash(node: node, announced), results.use(asked) == nil else { return }
        guard let info = DiscoInfo(answer), info.hash(asked.algorithm) == asked else {
            counts.unverified &+= 1
            return
        }
        results.set(asked, info, weight: info.byteCount)
    }

    /// The node of a request for `disco#info` and nothing else: `.some(nil)` where it names none.
    private static func node(ofRequest request: Stanza) -> String?? {
        guard request.kind == .iq, request.type == .get, request.elementCount == 2, request.hasChild(.discoInfo),
            let query = request.root.children.first
        else { return nil }
        return .some(query.attribute("node"))
    }

    /// What the result of a request should have as its hash, if it has any. What is announced only says where to look: the
    /// hash is what proves.
    private static func askedHash(node: String?, _ announced: AnnouncedCaps?) -> CapsHash? {
        if let announced, node == nil || node == announced.requestNode { return announced.hash }
        guard let node, let mark = node.lastIndex(of: "#") else { return nil }
        let value = String(node[node.index(after: mark)...])
        let algorithm = CapsHash.Algorithm.allCases.first { $0.textLength == value.utf8.count }
        return algorithm.map { CapsHash(algorithm: $0, value: value) }
    }

    /// What was on its way from the peer may be lost.
    package mutating func linkLostStanzas() { places.becameUncertain() }

    // MARK: Answering

    /// The answer to a request for `disco#info`; `nil` where it is not known, or this user was not told.
    package mutating func discoInfo(for request: Stanza) -> Stanza? {
        guard subjects.contains(.discoInfo), let node = Self.node(ofRequest: request),
            let announced = contacts.announced(to: request), node == nil || node == announced.requestNode,
            let info = results.use(announced.hash), let answer = info.answer(to: request, node: node)
        else { return nil }
        counts.discoAnswers &+= 1
        return answer
    }

    /// The answer to a request for the vCard of a bare address; `nil` where none is known that is young enough.
    ///
    /// - Parameter lifetime: the age from which on a card is asked for again; `nil` or 0: always.
    package mutating func vCard(for request: Stanza, lifetime: TimeAmount?, now: NIODeadline) -> Stanza? {
        guard subjects.contains(.vCards), let lifetime, lifetime > .zero,
            let answer = cards.answer(to: request, lifetime: lifetime, now: now)
        else { return nil }
        counts.vCardAnswers &+= 1
        return answer
    }

    /// What is known of the place in a room that a ping is for.
    package enum RoomPing: Equatable, Sendable {
        /// The sender's own; he is in the room. This is the answer.
        case own(Stanza)
        /// Another's in a room that the sender is in.
        case another
        /// Not known to be in the room, nor that it is one.
        case unknown
    }

    /// - Returns: `nil` for what is no ping of a full address.
    package mutating func roomPing(_ request: Stanza) -> RoomPing? {
        guard request.isRoomPing else { return nil }
        switch places.finding(request) {
        case .another: return .another
        case .unknown: return .unknown
        case .own:
            guard let writer = StanzaWriter(resultFor: request) else { return nil }
            counts.roomPingAnswers &+= 1
            return .own(writer.finish())
        }
    }

    // MARK: Seeing

    /// What is kept and what it was good for.
    package var status: LocalAnswerStatus {
        var status = counts
        status.discoResults = results.count
        status.discoBytes = results.weight
        status.contacts = contacts.count
        status.vCards = cards.count
        status.vCardBytes = cards.byteCount
        status.oldestVCard = cards.oldest
        status.roomPlaces = places.count
        return status
    }

    /// Numbers only.
    package var debugState: String {
        "disco \(results.count), contacts \(contacts.count), vCards \(cards.count), rooms \(places.count)"
    }
}
