package import Outbox
package import XMPP

/// Folds the ids of this site's users for one peer: what leaves has short tokens in their place, and where the other
/// side names a token in the same conversation, the original is put back. The other side sees ordinary ids and needs to
/// know nothing.
///
/// The rule, of which the rest follows: *whoever sent an id sees the original, everybody else sees the token.* A token
/// is restored only in stanzas to its owner (bare address) from the partner to whom it was sent; a room of this site is
/// the owner of all that it says to the other side, so occupants there see tokens and occupants here see originals. An
/// id that nothing is known of is left as it is. docs/id-folding.md has the cases.
///
/// Owns no journal and makes no choice of when to write: records are taken with ``takeRecords()`` and must be durable
/// before the stanza that caused them can be seen on the link. Source: Skywave design, "Id folding".
package struct IdentifierFolder: ~Copyable {
    /// Ids shorter than this gain nothing.
    static let leastCharacters = 10
    /// Longer ids are left alone: what a mention of a token grows to is bounded by it.
    static let maximumCharacters = 128
    /// Numbers are made safe in advance by so many, so that a token costs no second record.
    static let reserve: UInt64 = 1_024
    /// How many requests of the other side may be on their way through services of this site at once.
    static let passingRequests = 256

    let limits: IdentifierLimits
    let side: UInt32
    var map: IdentifierMap
    var scan = IdentifierScan()
    var foreign: ForeignIdentifiers
    /// Ids of the other side's IQ requests.
    var foreignRequests: ForeignIdentifiers
    /// The number of the next token.
    var next: UInt64 = 1
    /// Numbers from here on must not be given out before the journal says so.
    var reserved: UInt64 = 1
    /// What is added to a number to make the token.
    var start: UInt32 = 0
    var records: [JournalRecord] = []
    /// Rows to be removed. Numbers are never used again, so that may stand at the end.
    var removed: [UInt64] = []
    private var replacements: [Stanza.Replacement] = []

    package private(set) var counters = IdentifierCounters()
    /// False: ids that are new cross as they are; tokens that were given out keep their meaning.
    package var makesTokens = true
    /// Whether the ids that rooms of this site give to messages (XEP-0359 `stanza-id`) get tokens too. To be set only
    /// where the other side cannot read the rooms' archives: what a client remembers of an archive must be known to it
    /// for longer than tokens are remembered.
    package var foldsStanzaIDs = false
    /// False where there is no journal: no rows are made.
    package var isJournaled = true

    /// - Parameters:
    ///   - isHighSide: true at one end of the link and false at the other, so that both never make the same token; say,
    ///     whose first domain is the greater one.
    ///   - seed: random; chooses where tokens begin when the journal does not say.
    ///   - recovered: what the journal of the peer holds.
    package init(
        limits: IdentifierLimits = .standard, isHighSide: Bool, seed: UInt64, recovered: RecoveredPeer = RecoveredPeer()
    ) {
        self.limits = limits
        self.side = isHighSide ? IdentifierToken.highBit : 0
        self.map = IdentifierMap(limits: limits)
        self.foreign = ForeignIdentifiers(limit: limits.foreign, isDurable: true)
        self.foreignRequests = ForeignIdentifiers(limit: Self.passingRequests, isDurable: false)
        self.recover(recovered, seed: seed)
    }

    /// Tokens that are remembered.
    package var count: Int { self.map.count }

    /// For logs; holds nothing that users wrote.
    package var debugState: String { "\(self.map.count) tokens, next number \(self.next)" }

    /// Changes for the journal since this was last called, in order.
    package mutating func takeRecords() -> [JournalRecord] {
        guard !self.records.isEmpty || !self.removed.isEmpty else { return [] }
        guard self.isJournaled else {
            self.records.removeAll(keepingCapacity: true)
            self.removed.removeAll(keepingCapacity: true)
            return []
        }
        defer { self.records = [] }
        if !self.removed.isEmpty {
            self.records.append(.remove(.identifiers, ids: self.removed))
            self.removed.removeAll(keepingCapacity: true)
        }
        return self.records
    }

    // MARK: What leaves

    /// A stanza from this site as it is to cross; the same one where nothing changes.
    ///
    /// - Parameter now: service time in milliseconds, for the journal.
    package mutating func outbound(_ stanza: Stanza, now: UInt64) -> Stanza {
        guard self.hasIDs(stanza) else { return stanza }
        var sender = Outbound(stanza: stanza, map: self.map)
        self.replacements.removeAll(keepingCapacity: true)
        for index in self.scan.positions.indices {
            let position = self.scan.positions[index]
            guard position.range.count >= 8, position.range.count <= Self.maximumCharacters else { continue }
            guard let token = self.token(at: position, of: stanza, &sender, now) else { continue }
            self.counters.folded += 1
            self.counters.savedCharacters += UInt64(position.range.count - 8)
            if self.map.use(token) { self.put(token, now: now) }
            self.replacements.append(Stanza.Replacement(range: position.range, word: token.word))
        }
        return stanza.replacing(self.replacements)
    }

    /// What a stanza that leaves is.
    private struct Outbound {
        /// A message to everybody at once: what a room says to an occupant (it goes to a full address, what an occupant
        /// says goes to a bare one), or a headline, to which nobody answers.
        let isBroadcast: Bool
        let isGroupchat: Bool
        let isError: Bool
        /// The scopes in which its ids may have tokens already.
        var own: Int?
        var everybody: Int?

        init(stanza: Stanza, map: borrowing IdentifierMap) {
            let isMessage = stanza.kind == .message
            self.isGroupchat = isMessage && stanza.type == .groupchat
            self.isBroadcast =
                isMessage && (stanza.type == .headline || (stanza.type == .groupchat && stanza.toHasResource))
            self.isError = stanza.isError
            self.findScopes(stanza, map)
        }

        mutating func findScopes(_ stanza: Stanza, _ map: borrowing IdentifierMap) {
            self.own = map.scope(ofSenderOf: stanza, toEverybody: false)
            self.everybody = map.scope(ofSenderOf: stanza, toEverybody: true)
        }
    }

    private mutating func token(
        at position: IdentifierPosition, of stanza: Stanza, _ sender: inout Outbound, _ now: UInt64
    ) -> IdentifierToken? {
        switch position.kind {
        case .archive where self.foldsStanzaIDs && self.makesTokens && sender.isBroadcast:
            return self.archiveToken(stanza, stanza.text(in: position.range), &sender, now)
        case .reference, .archive:
            guard sender.own != nil || sender.everybody != nil else { return nil }
            return self.known(stanza.text(in: position.range), sender, isRequest: false)
        case .acknowledgement:
            // Nobody acknowledges his own messages, so this is an id of the other side, except where a room passes it
            // on.
            guard sender.isBroadcast, sender.everybody != nil else { return nil }
            return self.known(stanza.text(in: position.range), sender, isRequest: false)
        case .stanza, .origin, .thread:
            if stanza.kind == .iq { return self.requestToken(stanza, stanza.text(in: position.range), &sender, now) }
            // An error has the id of the other side's message.
            if sender.isError, position.kind == .stanza { return nil }
            return self.ownToken(stanza, stanza.text(in: position.range), position.kind, &sender, now)
        }
    }

    private func known(_ id: String, _ sender: Outbound, isRequest: Bool) -> IdentifierToken? {
        if let own = sender.own, let token = self.map.token(of: id, scope: own, isRequest: isRequest) { return token }
        guard let everybody = sender.everybody else { return nil }
        return self.map.token(of: id, scope: everybody, isRequest: isRequest)
    }

    /// For ids by which a message is known and threads that it belongs to: a new token where there is none.
    private mutating func ownToken(
        _ stanza: Stanza, _ id: String, _ kind: IdentifierPosition.Kind, _ sender: inout Outbound, _ now: UInt64
    ) -> IdentifierToken? {
        let looksLikeToken = self.looksLikeOwnToken(id)
        // What came from there goes back as it came: to its sender it is an original.
        if sender.isGroupchat, sender.isBroadcast || !looksLikeToken, self.foreign.contains(stanza.bareFromHash, id) {
            return nil
        }
        if kind == .thread, self.foreign.contains(stanza.bareToHash, id) { return nil }
        if let token = self.known(id, sender, isRequest: false) { return token }
        // What a room repeats of earlier days must not have another id than it had then.
        if sender.isError || (sender.isBroadcast && stanza.hasChild(.delay)) { return nil }
        let mustFold = looksLikeToken && kind != .thread
        guard mustFold || (self.makesTokens && self.isWorthFolding(id)) else { return nil }
        if mustFold { self.counters.escaped += 1 }
        return self.makeToken(
            for: id, of: stanza, &sender, toEverybody: sender.isBroadcast, isRequest: false, now: now)
    }

    /// For the id that a room of this site gave to the message.
    private mutating func archiveToken(
        _ stanza: Stanza, _ id: String, _ sender: inout Outbound, _ now: UInt64
    ) -> IdentifierToken? {
        if let token = self.known(id, sender, isRequest: false) { return token }
        // A room that takes over the senders' own ids: those of the other side stay, whatever they name.
        if self.foreign.contains(stanza.bareFromHash, id) || stanza.hasChild(.delay) { return nil }
        let looksLikeToken = self.looksLikeOwnToken(id)
        // A room signs once (XEP-0359 §3.1). Where it lets others sign for it, they get no tokens.
        let isOnly = self.scan.positions.count { $0.kind == .archive } == 1
        guard looksLikeToken || (isOnly && self.isWorthFolding(id)) else { return nil }
        if looksLikeToken { self.counters.escaped += 1 }
        return self.makeToken(for: id, of: stanza, &sender, toEverybody: true, isRequest: false, now: now)
    }

    private mutating func requestToken(
        _ stanza: Stanza, _ id: String, _ sender: inout Outbound, _ now: UInt64
    ) -> IdentifierToken? {
        guard stanza.isIQRequest else {
            // An answer has the id of the other side's request, unless that was one of ours that came back.
            guard stanza.isIQAnswer, let token = self.known(id, sender, isRequest: true),
                let entry = self.map.entry(token), entry.reflected > 0
            else { return nil }
            self.map.update(token) { $0.reflected -= 1 }
            return token
        }
        let looksLikeToken = self.looksLikeOwnToken(id)
        if !looksLikeToken, self.foreignRequests.contains(stanza.bareFromHash, id) { return nil }
        if let token = self.known(id, sender, isRequest: true) {
            self.map.update(token) { $0.open += 1 }
            return token
        }
        guard looksLikeToken || (self.makesTokens && self.isWorthFolding(id)) else { return nil }
        if looksLikeToken { self.counters.escaped += 1 }
        return self.makeToken(for: id, of: stanza, &sender, toEverybody: false, isRequest: true, now: now)
    }

    private func isWorthFolding(_ id: String) -> Bool {
        let count = id.utf8.count
        return count >= Self.leastCharacters && count <= Self.maximumCharacters && Stanza.isPlain(id)
    }

    /// Whether an id could be, or become, one of our tokens. A user's own must then be folded, whatever its length, or
    /// it would be taken for somebody else's when it comes back.
    private func looksLikeOwnToken(_ id: String) -> Bool {
        guard id.utf8.count == 8, let token = IdentifierToken(id) else { return false }
        return token.value & IdentifierToken.highBit == self.side || self.map.entry(token) != nil
    }

    private mutating func makeToken(
        for id: String, of stanza: Stanza, _ sender: inout Outbound, toEverybody: Bool, isRequest: Bool, now: UInt64
    ) -> IdentifierToken {
        var scope = toEverybody ? sender.everybody : sender.own
        var isScopeOld = scope != nil
        let owner = self.map.owner(ofScope: scope) ?? stanza.fromBareText
        while let oldest = self.map.next(toEvictFor: owner, inScope: scope, speakingToEverybody: toEverybody) {
            self.remove(oldest)
            self.counters.evicted += 1
            isScopeOld = false
            // Scopes come and go with their tokens.
            if let known = scope, self.map.isEmpty(scope: known) { scope = nil }
        }
        let place =
            scope
            ?? self.map.makeScope(
                owner: owner, partner: toEverybody ? "" : stanza.toBareText, ownerHash: stanza.bareFromHash,
                partnerHash: stanza.bareToHash)
        let (token, number) = self.nextToken()
        self.map.insert(
            IdentifierMap.Entry(token: token, number: number, scope: place, original: id, isRequest: isRequest))
        self.put(token, now: now)
        self.counters.tokens += 1
        if !isScopeOld { sender.findScopes(stanza, self.map) }
        return token
    }

    private func hasIDsToLookAt(_ stanza: Stanza) -> Bool {
        (stanza.kind == .message || stanza.kind == .iq) && stanza.toDomainHash != 0 && stanza.fromDomainHash != 0
    }

    private mutating func hasIDs(_ stanza: Stanza) -> Bool { self.hasIDsToLookAt(stanza) && self.scan.scan(stanza) }

    // MARK: What arrives

    /// A stanza from the peer as it is to be delivered; the same one where nothing changes.
    ///
    /// - Parameter now: service time in milliseconds, for the journal.
    package mutating func inbound(_ stanza: Stanza, now: UInt64) -> Stanza {
        guard self.hasIDs(stanza) else { return stanza }
        self.replacements.removeAll(keepingCapacity: true)
        for index in self.scan.positions.indices {
            let position = self.scan.positions[index]
            if let original = self.original(at: position, of: stanza, now) {
                self.counters.restored += 1
                self.replacements.append(Stanza.Replacement(range: position.range, value: original))
            } else {
                self.note(position, of: stanza, now)
            }
        }
        return stanza.replacing(self.replacements)
    }

    private mutating func original(at position: IdentifierPosition, of stanza: Stanza, _ now: UInt64) -> String? {
        guard let word = stanza.word(in: position.range), let token = IdentifierToken(word: word),
            let entry = self.map.entry(token), entry.isRequest == (stanza.kind == .iq && position.kind == .stanza),
            self.map.leadsToOwner(stanza, ofScope: entry.scope)
        else { return nil }
        if entry.isRequest {
            if stanza.isIQAnswer {
                if entry.open <= 1 { self.remove(token) } else { self.map.update(token) { $0.open -= 1 } }
            } else {
                self.map.update(token) { $0.reflected += 1 }
            }
        } else if self.map.use(token) {
            self.put(token, now: now)
        }
        return entry.original
    }

    /// Remembers an id of the other side that will go back there: every occupant, its sender too, gets what a room of
    /// this site received, and a thread belongs to both sides.
    private mutating func note(_ position: IdentifierPosition, of stanza: Stanza, _ now: UInt64) {
        guard position.range.count >= 8, position.range.count <= Self.maximumCharacters, !stanza.isError else { return }
        switch position.kind {
        case .reference, .acknowledgement, .archive: return
        case .stanza where stanza.kind == .iq:
            guard stanza.isIQRequest else { return }
            let id = stanza.text(in: position.range)
            if self.isWorthFolding(id) {
                self.foreignRequests.insert(stanza.bareToHash, id, now: now, &self.records)
            }
        case .stanza, .origin, .thread:
            let isForRoom = stanza.type == .groupchat && !stanza.toHasResource
            guard isForRoom || position.kind == .thread else { return }
            let id = stanza.text(in: position.range)
            guard self.isWorthFolding(id) || (isForRoom && self.looksLikeOwnToken(id)) else { return }
            self.foreign.insert(isForRoom ? stanza.bareToHash : stanza.bareFromHash, id, now: now, &self.records)
        }
    }
}
