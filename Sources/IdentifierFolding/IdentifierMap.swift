import XMPP

/// Which token stands for which id, in which conversation.
///
/// A *scope* is a conversation as one of its parties sees it: the owner, who sent the ids, and his partner. A scope
/// without partner is everybody's: what a room of this site, or another local service, says to many at once. Within a
/// scope one id has one token and one token one id, so whoever reads tokens sees the same conversation as whoever reads
/// ids.
///
/// Entries lie in one array and are linked twice, in the order in which they would be forgotten: all of them, and those
/// of each owner.
struct IdentifierMap {
    struct Entry: Equatable {
        var token: IdentifierToken
        /// The row of the journal.
        var number: UInt64
        var scope: Int
        var original: String
        /// The id of an IQ request; such an entry is done with when the answer is there.
        var isRequest: Bool
        /// Requests with this id that wait for an answer.
        var open: Int32 = 1
        /// Requests with this token that came back to the owner (a ping of oneself through a room, XEP-0410) and will
        /// be answered by him.
        var reflected: Int32 = 0
    }

    private struct Slot {
        var entry: Entry
        /// Of scope and id, in `slotsByOriginal`.
        var hash = 0
        /// Order of use, more or less: only what might soon be forgotten is moved to the end.
        var stamp: UInt64 = 0
    }

    private struct Scope {
        var owner = 0
        /// Empty for everybody.
        var partner = ""
        var hash: UInt64 = 0
        var entries = 0
        /// The next scope of the same hash; -1 at the end.
        var next = -1
    }

    private struct Owner {
        var name = ""
        var entries = LinkedList()
        var scopes = 0
    }

    private let limits: IdentifierLimits
    private var slots: [Slot] = []
    private var freeSlots: [Int32] = []
    private var slotsByToken: [UInt32: Int32] = [:]
    private var slotsByOriginal: [Int: Int32] = [:]
    private var all = LinkedList()
    /// Neighbours of each slot among all, and among those of its owner.
    private var allLinks: [LinkedList.Link] = []
    private var ownerLinks: [LinkedList.Link] = []
    private var scopes: [Scope] = []
    private var freeScopes: [Int] = []
    private var scopesByHash: [UInt64: Int] = [:]
    private var owners: [Owner] = []
    private var freeOwners: [Int] = []
    private var ownersByName: [String: Int] = [:]
    private var stamp: UInt64 = 0

    init(limits: IdentifierLimits) { self.limits = limits }

    var count: Int { self.all.count }

    // MARK: Scopes

    private static func hash(owner: UInt64, partner: UInt64) -> UInt64 {
        var hash = StableHash()
        hash.combine(owner)
        hash.combine(partner)
        return hash.value
    }

    /// The scope of what a stanza's sender said to its recipient, or to everybody.
    func scope(ofSenderOf stanza: Stanza, toEverybody: Bool) -> Int? {
        guard self.all.count > 0 else { return nil }
        let hash = Self.hash(owner: stanza.bareFromHash, partner: toEverybody ? 0 : stanza.bareToHash)
        var index = self.scopesByHash[hash] ?? -1
        while index >= 0 {
            let scope = self.scopes[index]
            let isPartner = toEverybody ? scope.partner.isEmpty : stanza.toBareEquals(scope.partner)
            if isPartner, stanza.fromBareEquals(self.owners[scope.owner].name) { return index }
            index = scope.next
        }
        return nil
    }

    /// Whether a stanza goes to a scope's owner and comes from his partner in it.
    func leadsToOwner(_ stanza: Stanza, ofScope index: Int) -> Bool {
        let scope = self.scopes[index]
        return stanza.toBareEquals(self.owners[scope.owner].name)
            && (scope.partner.isEmpty || stanza.fromBareEquals(scope.partner))
    }

    /// The scope of two addresses, made where there is none. It must get an entry.
    mutating func makeScope(owner: String, partner: String, ownerHash: UInt64, partnerHash: UInt64) -> Int {
        let hash = Self.hash(owner: ownerHash, partner: partner.isEmpty ? 0 : partnerHash)
        let first = self.scopesByHash[hash] ?? -1
        var index = first
        while index >= 0 {
            if self.owners[self.scopes[index].owner].name == owner, self.scopes[index].partner == partner {
                return index
            }
            index = self.scopes[index].next
        }
        let ownerIndex = self.makeOwner(owner)
        self.owners[ownerIndex].scopes += 1
        let scope = Scope(owner: ownerIndex, partner: partner, hash: hash, next: first)
        if let free = self.freeScopes.popLast() {
            self.scopes[free] = scope
            index = free
        } else {
            self.scopes.append(scope)
            index = self.scopes.count - 1
        }
        self.scopesByHash[hash] = index
        return index
    }

    private mutating func makeOwner(_ name: String) -> Int {
        if let index = self.ownersByName[name] { return index }
        let index: Int
        if let free = self.freeOwners.popLast() {
            index = free
            self.owners[free] = Owner(name: name)
        } else {
            index = self.owners.count
            self.owners.append(Owner(name: name))
        }
        self.ownersByName[name] = index
        return index
    }

    private mutating func removeScope(_ index: Int) {
        let scope = self.scopes[index]
        var before = self.scopesByHash[scope.hash] ?? -1
        if before == index {
            self.scopesByHash[scope.hash] = scope.next < 0 ? nil : scope.next
        } else {
            while before >= 0, self.scopes[before].next != index { before = self.scopes[before].next }
            if before >= 0 { self.scopes[before].next = scope.next }
        }
        self.scopes[index] = Scope()
        self.freeScopes.append(index)
        self.owners[scope.owner].scopes -= 1
        guard self.owners[scope.owner].scopes == 0 else { return }
        self.ownersByName[self.owners[scope.owner].name] = nil
        self.owners[scope.owner] = Owner()
        self.freeOwners.append(scope.owner)
    }

    func addresses(ofScope index: Int) -> (owner: String, partner: String) {
        (self.owners[self.scopes[index].owner].name, self.scopes[index].partner)
    }

    // MARK: Entries

    func entry(_ token: IdentifierToken) -> Entry? {
        self.slotsByToken[token.value].map { self.slots[Int($0)].entry }
    }

    private static func hash(_ original: String, _ scope: Int, _ isRequest: Bool) -> Int {
        // Seeded anew in every process, so that nobody can choose ids that fall together.
        var hasher = Hasher()
        hasher.combine(scope)
        hasher.combine(isRequest)
        hasher.combine(original)
        return hasher.finalize()
    }

    func token(of original: String, scope: Int, isRequest: Bool) -> IdentifierToken? {
        guard let slot = self.slotsByOriginal[Self.hash(original, scope, isRequest)] else { return nil }
        let entry = self.slots[Int(slot)].entry
        return entry.scope == scope && entry.isRequest == isRequest && entry.original == original ? entry.token : nil
    }

    mutating func update(_ token: IdentifierToken, _ change: (inout Entry) -> Void) {
        guard let slot = self.slotsByToken[token.value] else { return }
        change(&self.slots[Int(slot)].entry)
    }

    func owner(ofScope index: Int?) -> String? { index.map { self.owners[self.scopes[$0].owner].name } }

    /// Whether a scope has lost its last entry, and so is none any more.
    func isEmpty(scope index: Int) -> Bool { self.scopes[index].entries == 0 }

    /// What has to be forgotten before an owner can have another token.
    ///
    /// - Parameter scope: one of his, where it is known.
    func next(toEvictFor owner: String, inScope scope: Int?, speakingToEverybody: Bool) -> IdentifierToken? {
        if let index = scope.map({ self.scopes[$0].owner }) ?? self.ownersByName[owner] {
            let entries = self.owners[index].entries
            if entries.count >= self.quota(speakingToEverybody) { return self.slots[Int(entries.oldest)].entry.token }
        }
        return self.all.count >= self.limits.tokens ? self.slots[Int(self.all.oldest)].entry.token : nil
    }

    private func quota(_ speaksToEverybody: Bool) -> Int {
        speaksToEverybody ? max(self.limits.tokens / 2, 1) : self.limits.tokensPerOwner
    }

    /// The token and the id must be new in the scope, and there must be room.
    mutating func insert(_ entry: Entry) {
        self.stamp += 1
        var slot = Slot(entry: entry)
        slot.hash = Self.hash(entry.original, entry.scope, entry.isRequest)
        slot.stamp = self.stamp
        let index: Int32
        if let free = self.freeSlots.popLast() {
            index = free
            self.slots[Int(free)] = slot
        } else {
            index = Int32(truncatingIfNeeded: self.slots.count)
            self.slots.append(slot)
            self.allLinks.append(LinkedList.Link())
            self.ownerLinks.append(LinkedList.Link())
        }
        self.slotsByToken[entry.token.value] = index
        self.slotsByOriginal[slot.hash] = index
        self.scopes[entry.scope].entries += 1
        self.link(index)
    }

    @discardableResult mutating func remove(_ token: IdentifierToken) -> Entry? {
        guard let index = self.slotsByToken.removeValue(forKey: token.value) else { return nil }
        self.unlink(index)
        let (entry, hash) = (self.slots[Int(index)].entry, self.slots[Int(index)].hash)
        if self.slotsByOriginal[hash] == index { self.slotsByOriginal[hash] = nil }
        self.slots[Int(index)].entry.original = ""
        self.freeSlots.append(index)
        self.scopes[entry.scope].entries -= 1
        if self.scopes[entry.scope].entries == 0 { self.removeScope(entry.scope) }
        return entry
    }

    /// Notes that a token was used.
    ///
    /// - Returns: whether that changed its place among those to be forgotten.
    mutating func use(_ token: IdentifierToken) -> Bool {
        guard let index = self.slotsByToken[token.value] else { return false }
        let scope = self.scopes[self.slots[Int(index)].entry.scope]
        let quota = self.quota(scope.partner.isEmpty)
        guard self.stamp - self.slots[Int(index)].stamp > UInt64(self.limits.tokensPerOwner / 2),
            self.owners[scope.owner].entries.count > quota / 2 || self.all.count > self.limits.tokens / 2
        else { return false }
        self.stamp += 1
        self.slots[Int(index)].stamp = self.stamp
        self.unlink(index)
        self.link(index)
        return true
    }

    // MARK: Lists

    private mutating func link(_ index: Int32) {
        self.all.append(index, &self.allLinks)
        self.owners[self.scopes[self.slots[Int(index)].entry.scope].owner].entries.append(index, &self.ownerLinks)
    }

    private mutating func unlink(_ index: Int32) {
        self.all.remove(index, &self.allLinks)
        self.owners[self.scopes[self.slots[Int(index)].entry.scope].owner].entries.remove(index, &self.ownerLinks)
    }
}
