package import XMPP

/// Where `to`, `from` and `id` stand in a stanza's canonical bytes: comparing them there costs no allocation.
///
/// Canonical form puts these three into the stanza's own tag in the order `to`, `from`, `type`, `id`, between single
/// quotes, with addresses case-folded; so equal values are equal bytes.
package struct CanonicalAddresses: Equatable, Sendable {
    package var to: Range<Int> = 0..<0
    package var from: Range<Int> = 0..<0
    package var id: Range<Int> = 0..<0

    /// Reads the start of canonical bytes. What is not there has an empty range.
    package init(_ bytes: UnsafeRawBufferPointer) {
        var position = 0
        // The element's name.
        while position < bytes.count, unsafe bytes[position] != UInt8(ascii: " ") {
            guard unsafe bytes[position] != UInt8(ascii: ">") else { return }
            position += 1
        }
        while position < bytes.count, unsafe bytes[position] == UInt8(ascii: " ") {
            let name = position + 1
            var equals = name
            while equals < bytes.count, unsafe bytes[equals] != UInt8(ascii: "=") { equals += 1 }
            let value = equals + 2
            var quote = value
            while quote < bytes.count, unsafe bytes[quote] != UInt8(ascii: "'") { quote += 1 }
            guard quote < bytes.count else { return }
            switch equals - name {
            case 2 where unsafe bytes[name] == UInt8(ascii: "t"): to = value..<quote
            case 2 where unsafe bytes[name] == UInt8(ascii: "i"):
                id = value..<quote
                return
            case 4 where unsafe bytes[name] == UInt8(ascii: "f"): from = value..<quote
            case 4: break  // type
            default: return
            }
            position = quote + 1
        }
    }
}

extension Stanza {
    /// True when both stanzas have the same full `to` and the same full `from`.
    package func hasSameAddresses(as other: Stanza) -> Bool {
        matches(other, isCrossed: false, comparesID: false)
    }

    /// True when both have the same `to`, `from` and `id`.
    package func hasSameAddressesAndID(as other: Stanza) -> Bool {
        matches(other, isCrossed: false, comparesID: true)
    }

    /// True when this stanza has the addresses of `request` the other way round, and its `id`.
    package func mirrors(_ request: Stanza) -> Bool {
        matches(request, isCrossed: true, comparesID: true)
    }

    private func matches(_ other: Stanza, isCrossed: Bool, comparesID: Bool) -> Bool {
        unsafe withBytes { mine in
            unsafe other.withBytes { theirs in
                let left = unsafe CanonicalAddresses(mine)
                let right = unsafe CanonicalAddresses(theirs)
                return unsafe mine[left.to].elementsEqual(theirs[isCrossed ? right.from : right.to])
                    && mine[left.from].elementsEqual(theirs[isCrossed ? right.to : right.from])
                    && (!comparesID || mine[left.id].elementsEqual(theirs[right.id]))
            }
        }
    }

    /// A hash of full addresses and `id`, by which an IQ request and its answer find each other: equal for a request and
    /// for the answer to it, when `isAnswer` says which this is. The same in every process; decides nothing. Nil when there
    /// is no `id`.
    package func exchangeHash(isAnswer: Bool) -> UInt64? {
        unsafe withBytes { bytes in
            let places = unsafe CanonicalAddresses(bytes)
            guard !places.id.isEmpty else { return nil }
            var hash = StableHash()
            for range in isAnswer ? [places.from, places.to, places.id] : [places.to, places.from, places.id] {
                for index in range { unsafe hash.combine(bytes[index]) }
                // No byte of an attribute value, so that the borders count.
                hash.combine(UInt8(ascii: "'"))
            }
            return hash.value
        }
    }
}
