/// What the keeping of room memberships compares: addresses as they stand in the canonical bytes, where equal values
/// are equal bytes, and hashes of what a room's stanza says.
extension Stanza {
    /// The whole `to`, escaped as it stands in the bytes; empty where there is none.
    package var toText: String { text(fields.to.value) }
    /// The whole `from`, escaped as it stands in the bytes; empty where there is none.
    package var fromText: String { text(fields.from.value) }

    /// Whether `to` is exactly this escaped address. Allocates nothing.
    package func toEquals(_ address: String) -> Bool {
        storage.value.withBytes { $0.slice(fields.to.value).equals(address) }
    }

    package func fromEquals(_ address: String) -> Bool {
        storage.value.withBytes { $0.slice(fields.from.value).equals(address) }
    }

    /// Whether `to` without its resource is exactly this escaped address. Allocates nothing.
    package func toBareEquals(_ address: String) -> Bool {
        storage.value.withBytes { $0.slice(fields.to.value).withoutResource.equals(address) }
    }

    package func fromBareEquals(_ address: String) -> Bool {
        storage.value.withBytes { $0.slice(fields.from.value).withoutResource.equals(address) }
    }

    /// The same for a value that stands in the stanza itself.
    package func fromBareEquals(valueAt range: Range<Int>) -> Bool {
        storage.value.withBytes { bytes in
            bytes.slice(fields.from.value).withoutResource.equals(bytes.slice(ByteRange(range.lowerBound, range.count)))
        }
    }

    /// What the first label of an address's domain is.
    package enum DomainLabel: Equatable, Sendable {
        /// One of those that were asked for.
        case listed
        /// Another one; the whole domain is ASCII.
        case other
        /// There is no valid address, or its domain has letters beyond ASCII, which have to be compared as an address.
        case unclear
    }

    /// What the first label of the domain of `to` is. Allocates nothing.
    ///
    /// - Parameter labels: in small letters, as domains are in canonical form.
    package func toDomainLabel(among labels: [StaticString]) -> DomainLabel { domainLabel(fields.to, labels) }
    package func fromDomainLabel(among labels: [StaticString]) -> DomainLabel { domainLabel(fields.from, labels) }

    private func domainLabel(_ address: AddressRanges, _ labels: [StaticString]) -> DomainLabel {
        guard address.domain.count > 0 else { return .unclear }
        return storage.value.withBytes { bytes in
            let domain = bytes.slice(address.domain)
            guard domain.isASCII else { return .unclear }
            let label = domain.firstIndex(of: UInt8(ascii: ".")).map { domain.prefix($0) } ?? domain
            return labels.contains { label.equals($0) } ? .listed : .other
        }
    }

    /// A hash of what a room message says and who said it: sender, `id` and its text, or whatever else it holds if it
    /// has no text. Recipient, delay stamps and what servers add are left out, so the message in a room's history has
    /// the hash that it had live.
    package var roomMessageFingerprint: UInt64 {
        storage.value.withBytes { bytes in
            var hash = StableHash()
            hash.combine(bytes.slice(fields.from.value).hash)
            if fields.id.start != 0 { hash.combine(bytes.slice(fields.id).hash) }
            var hasText = false
            for index in 1..<max(fields.elementCount, 1) {
                let entry = storage.value.entry(index)
                guard entry.depth == 1, Self.textNames.contains(ElementName(rawCode: entry.name)) else { continue }
                hasText = true
                hash.combine(bytes.slice(entry.range).hash)
            }
            if !hasText { combineChildren(into: &hash, bytes) { $0 != .delay } }
            return hash.value
        }
    }

    /// A hash of the texts of `subject`.
    package var subjectFingerprint: UInt64 {
        storage.value.withBytes { bytes in
            var hash = StableHash()
            combineChildren(into: &hash, bytes) { $0 == .subject }
            return hash.value
        }
    }

    /// A hash of what a presence from a room says, but for delay stamps and status codes, which say how it came about.
    package var roomPresenceFingerprint: UInt64 {
        storage.value.withBytes { bytes in
            var hash = StableHash()
            combineChildren(into: &hash, bytes) { $0 != .delay && $0 != .mucUser }
            var isInside = false
            for index in 1..<max(fields.elementCount, 1) {
                let entry = storage.value.entry(index)
                if entry.depth == 1 { isInside = entry.name == ElementName.mucUser.code }
                guard isInside, entry.depth == 2 else { continue }
                let element = bytes.slice(entry.range)
                guard !element.dropFirst(1).hasPrefix("status") else { continue }
                hash.combine(element.hash)
            }
            return hash.value
        }
    }

    private static let textNames: [ElementName] = [.body, .subject, .thread]

    private func combineChildren(into hash: inout StableHash, _ bytes: Bytes, where isWanted: (ElementName) -> Bool) {
        for index in 1..<max(fields.elementCount, 1) {
            let entry = storage.value.entry(index)
            guard entry.depth == 1, isWanted(ElementName(rawCode: entry.name)) else { continue }
            hash.combine(bytes.slice(entry.range).hash)
        }
    }
}

extension Bytes {
    /// An address up to its resource.
    fileprivate var withoutResource: Bytes { firstIndex(of: UInt8(ascii: "/")).map { prefix($0) } ?? self }

    fileprivate func hasPrefix(_ text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && prefix(text.utf8CodeUnitCount).equals(text)
    }
}

extension ElementEntry {
    fileprivate var range: ByteRange { ByteRange(Int(start), Int(end - start)) }
}
