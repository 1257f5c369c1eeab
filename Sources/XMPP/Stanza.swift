package import NIOCore

/// One child of a stream's root: its canonical bytes and an index of its elements.
///
/// Immutable and cheap to pass on (one reference). The bytes are always our own writing, never a copy of what came in:
/// single quotes, `to`, `from`, `type`, `id` and `xml:lang` first, other attributes sorted, namespaces declared where
/// they change and nowhere else, addresses case-folded. So equal stanzas have equal bytes, and nothing that one parser
/// reads otherwise than another ever passes the bridge. The content namespace of the stream (`jabber:server` or
/// `jabber:component:accept`) is not written. Source: Skywave design, "Stanza".
package struct Stanza: Sendable {
    // Never written to after its making.
    let storage: StanzaStorageBox

    package var kind: StanzaKind { self.fields.kind }
    package var type: StanzaType { self.fields.type }
    /// Size of the canonical bytes.
    package var byteCount: Int { self.fields.byteCount }
    /// How many elements the stanza has, itself included.
    package var elementCount: Int { self.fields.elementCount }

    @inline(__always)
    var fields: StanzaFields { self.storage.value.fields }

    /// The address that the stanza is for; `nil` where it is missing or malformed.
    package var to: JID? { self.address(self.fields.to) }
    /// The sender's address; `nil` where it is missing or malformed.
    package var from: JID? { self.address(self.fields.from) }
    package var id: String? { self.value(self.fields.id) }
    /// `xml:lang` of the stanza, its stream's language made explicit.
    package var language: String? { self.value(self.fields.language) }

    /// The domainpart of `to`, without looking at the rest.
    package var toDomain: Domain? { self.domain(self.fields.to) }
    package var fromDomain: Domain? { self.domain(self.fields.from) }
    /// ``Domain/hash64`` of the domain of `to`; 0 where there is none.
    package var toDomainHash: UInt64 { self.fields.to.domainHash }
    package var fromDomainHash: UInt64 { self.fields.from.domainHash }
    /// A hash of (bare from, bare to), the key of stanza order (RFC 6120 §10.1). Pairs that collide merely share a
    /// queue.
    package var pairHash: UInt64 {
        var hash = StableHash()
        hash.combine(self.fields.from.bareHash)
        hash.combine(self.fields.to.bareHash)
        return hash.value
    }

    /// A hash of the bare `from`; finds candidates, decides nothing.
    package var bareFromHash: UInt64 { self.fields.from.bareHash }
    /// A hash of the bare `to`; finds candidates, decides nothing.
    package var bareToHash: UInt64 { self.fields.to.bareHash }

    /// Whether `to` is an address in this domain. Allocates nothing.
    package func toDomainEquals(_ domain: Domain) -> Bool { self.equals(self.fields.to, domain) }
    package func fromDomainEquals(_ domain: Domain) -> Bool { self.equals(self.fields.from, domain) }

    package var isError: Bool { self.type == .error }
    package var isIQRequest: Bool { self.kind == .iq && (self.type == .get || self.type == .set) }
    package var isIQAnswer: Bool { self.kind == .iq && (self.type == .result || self.type == .error) }

    /// The stanza's own element.
    package var root: Element { Element(stanza: self, index: 0) }

    /// Whether a direct child has this name. Allocates nothing.
    package func hasChild(_ name: ElementName) -> Bool {
        let storage = self.storage.value
        for index in 0..<self.fields.elementCount {
            let entry = storage.entry(index)
            if entry.depth == 1, entry.name == name.code { return true }
        }
        return false
    }

    /// Appends the canonical bytes.
    package func write(to buffer: inout ByteBuffer) {
        self.storage.value.withBytes { bytes in
            unsafe _ = buffer.writeBytes(UnsafeRawBufferPointer(start: bytes.start, count: bytes.count))
        }
    }

    /// Gives the canonical bytes to `body`, which must not keep them.
    package func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.storage.value.withBytes { bytes in
            unsafe body(UnsafeRawBufferPointer(start: bytes.start, count: bytes.count))
        }
    }

    /// The whole XML as text. For tests and trace logs: it holds what people wrote.
    package var text: String { self.text(ByteRange(0, self.byteCount)) }

    func text(_ range: ByteRange) -> String {
        self.storage.value.withBytes { bytes in
            bytes.slice(range).string
        }
    }

    /// The unescaped text of an attribute's value; `nil` for the empty range, which no attribute has.
    private func value(_ range: ByteRange) -> String? {
        range.start == 0 ? nil : XMLUnescape.text(self.text(range))
    }

    private func address(_ ranges: AddressRanges) -> JID? {
        ranges.domain.count == 0 ? nil : self.value(ranges.value).flatMap { JID($0) }
    }

    private func domain(_ ranges: AddressRanges) -> Domain? {
        ranges.domain.count == 0 ? nil : Domain(self.text(ranges.domain))
    }

    private func equals(_ ranges: AddressRanges, _ domain: Domain) -> Bool {
        guard ranges.domainHash == domain.hash64, Int(ranges.domain.count) == domain.string.utf8.count else {
            return false
        }
        return self.storage.value.withBytes { bytes in
            bytes.slice(ranges.domain).equals(domain.string)
        }
    }
}

extension Stanza: Equatable {
    /// Equal canonical bytes.
    package static func == (left: Stanza, right: Stanza) -> Bool {
        if left.storage.value === right.storage.value { return true }
        guard left.byteCount == right.byteCount, left.kind == right.kind else { return false }
        return left.storage.value.withBytes { leftBytes in
            right.storage.value.withBytes { rightBytes in
                leftBytes.equals(rightBytes)
            }
        }
    }
}

extension Stanza: CustomStringConvertible {
    /// Kind, type and size: nothing that people wrote, so that it may stand in a log.
    package var description: String { "\(self.kind) type \(self.type), \(self.byteCount) bytes" }
}

/// Carries the storage across threads: it is immutable once a ``Stanza`` holds it.
struct StanzaStorageBox: @unchecked Sendable {
    let value: StanzaStorage
}
