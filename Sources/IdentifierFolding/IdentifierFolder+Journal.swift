import Outbox
import XMPP

extension IdentifierFolder {
    private static var version: UInt8 { 1 }

    // MARK: Numbers

    /// The next token, never given out before.
    mutating func nextToken() -> (IdentifierToken, number: UInt64) {
        while true {
            let number = self.next
            self.next += 1
            if number >= self.reserved {
                self.reserved = number + Self.reserve
                self.records.append(.set(.identifiers, self.numbersValue))
            }
            let token = IdentifierToken(value: self.value(ofNumber: number))
            // Only after another start was chosen, or after two thousand million tokens, can it be in use.
            if self.map.entry(token) == nil { return (token, number) }
        }
    }

    private func value(ofNumber number: UInt64) -> UInt32 {
        (self.start &+ UInt32(truncatingIfNeeded: number)) & ~IdentifierToken.highBit | self.side
    }

    private var numbersValue: [UInt8] {
        [Self.version] + (0..<8).map { UInt8(truncatingIfNeeded: self.reserved >> UInt64(56 - $0 * 8)) }
            + (0..<4).map { UInt8(truncatingIfNeeded: self.start >> UInt32(24 - $0 * 8)) }
    }

    // MARK: Rows

    mutating func put(_ token: IdentifierToken, now: UInt64) {
        guard self.isJournaled, let entry = self.map.entry(token) else { return }
        let (owner, partner) = self.map.addresses(ofScope: entry.scope)
        let row = IdentifierRow(
            token: token, isRequest: entry.isRequest, owner: owner, partner: partner, original: entry.original)
        self.records.append(.put(.identifiers, id: entry.number, .bytes(row.bytes), time: now))
    }

    mutating func remove(_ token: IdentifierToken) {
        if let entry = self.map.remove(token) { self.removed.append(entry.number) }
    }

    /// Rows that cannot be read are passed over and removed: their tokens stay where they are.
    mutating func recover(_ recovered: RecoveredPeer, seed: UInt64) {
        var hasStart = false
        if let value = recovered.values[.identifiers], value.count == 13, value[0] == Self.version {
            self.reserved = max(1, value[1..<9].reduce(0) { $0 << 8 | UInt64($1) })
            self.start = value[9..<13].reduce(0) { $0 << 8 | UInt32($1) }
            hasStart = true
        }
        let rows = recovered[.identifiers].sorted { ($0.time, $0.id) < ($1.time, $1.id) }
        for row in rows {
            self.reserved = max(self.reserved, row.id == .max ? row.id : row.id + 1)
            guard let content = IdentifierRow(row.payload), self.map.entry(content.token) == nil else {
                self.removed.append(row.id)
                continue
            }
            while let oldest = self.map.next(
                toEvictFor: content.owner, inScope: nil, speakingToEverybody: content.partner.isEmpty)
            { self.remove(oldest) }
            let scope = self.map.makeScope(
                owner: content.owner, partner: content.partner, ownerHash: StableHash.of(content.owner),
                partnerHash: StableHash.of(content.partner))
            self.map.insert(
                IdentifierMap.Entry(
                    token: content.token, number: row.id, scope: scope, original: content.original,
                    isRequest: content.isRequest))
        }
        self.foreign.recover(recovered[.foreignIdentifiers], &self.records)
        self.next = self.reserved
        // A journal that is fresh, or older than what the other side has seen, does not know which tokens were given
        // out.
        guard !hasStart || recovered.needsNewEpoch else { return }
        self.start = UInt32(truncatingIfNeeded: seed) &- UInt32(truncatingIfNeeded: self.next)
    }
}

/// One row of the table `identifiers`.
struct IdentifierRow: Equatable {
    private static let version: UInt8 = 1

    var token: IdentifierToken
    var isRequest: Bool
    var owner: String
    /// Empty for what was said to everybody.
    var partner: String
    var original: String

    init(token: IdentifierToken, isRequest: Bool, owner: String, partner: String, original: String) {
        self.token = token
        self.isRequest = isRequest
        self.owner = owner
        self.partner = partner
        self.original = original
    }

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(10 + self.owner.utf8.count + self.partner.utf8.count + self.original.utf8.count)
        bytes.append(Self.version)
        bytes.append(self.isRequest ? 1 : 0)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: self.token.value >> shift))
        }
        for text in [self.owner, self.partner] {
            bytes.append(UInt8(truncatingIfNeeded: text.utf8.count >> 8))
            bytes.append(UInt8(truncatingIfNeeded: text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        }
        bytes.append(contentsOf: self.original.utf8)
        return bytes
    }

    init?(_ bytes: [UInt8]) {
        guard bytes.count > 10, bytes[0] == Self.version, bytes[1] <= 1 else { return nil }
        self.isRequest = bytes[1] == 1
        self.token = IdentifierToken(value: bytes[2..<6].reduce(0) { $0 << 8 | UInt32($1) })
        var rest = bytes[6...]
        func text() -> String? {
            guard rest.count >= 2 else { return nil }
            let count = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            rest = rest.dropFirst(2)
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return String(validating: rest.prefix(count), as: UTF8.self)
        }
        guard let owner = text(), let partner = text(), !owner.isEmpty,
            let original = String(validating: rest, as: UTF8.self), !original.isEmpty, Stanza.isPlain(original),
            original.utf8.count <= IdentifierFolder.maximumCharacters
        else { return nil }
        self.owner = owner
        self.partner = partner
        self.original = original
    }
}
