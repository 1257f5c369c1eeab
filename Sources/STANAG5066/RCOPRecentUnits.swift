import DequeModule
import NIOCore
import XMPP

/// The units that one connection has delivered lately, by the hashes of their segments, so that segments which come
/// again are known for what they are.
///
/// Bounded three ways: half of all numbers, since a number is used again after 256 units; a time, since a sender that
/// has started again may use any number at once; and a count of hashes.
struct RCOPRecentUnits {
    struct Unit: Equatable {
        var number: UInt8
        /// The segment after its last.
        var end: Int
        /// Of its segments from 0 on. May be fewer than there were.
        var fingerprints: [UInt64]
        /// Of its bytes, however they were cut.
        var whole: UInt64
        var delivered: NIODeadline
    }

    private var units: Deque<Unit> = []
    private var fingerprintCount = 0

    private static let maximumUnits = 128
    private static let maximumFingerprints = 1_024

    var last: Unit? { units.last }

    func unit(_ number: UInt8) -> Unit? { units.last { $0.number == number } }

    /// Whether the segment was part of a unit with this number.
    func contains(_ number: UInt8, segment: Int, fingerprint: UInt64) -> Bool {
        guard let unit = unit(number), segment < unit.fingerprints.count else { return false }
        return unit.fingerprints[segment] == fingerprint
    }

    mutating func append(_ unit: Unit) {
        remove(unit.number)
        var unit = unit
        if unit.fingerprints.count > Self.maximumFingerprints {
            unit.fingerprints.removeLast(unit.fingerprints.count - Self.maximumFingerprints)
        }
        units.append(unit)
        fingerprintCount += unit.fingerprints.count
        while units.count > Self.maximumUnits || fingerprintCount > Self.maximumFingerprints { removeFirst() }
    }

    /// Forgets what was delivered longer ago than `age`.
    mutating func forget(olderThan age: TimeAmount, now: NIODeadline) {
        while let first = units.first, first.delivered + age < now { removeFirst() }
    }

    private mutating func remove(_ number: UInt8) {
        guard let index = units.lastIndex(where: { $0.number == number }) else { return }
        fingerprintCount -= units.remove(at: index).fingerprints.count
    }

    private mutating func removeFirst() {
        if let first = units.popFirst() { fingerprintCount -= first.fingerprints.count }
    }

    static func fingerprint(segment: Int, _ data: ByteBuffer) -> UInt64 {
        var hash = StableHash()
        hash.combine(UInt64(segment))
        hash.combine(UInt64(data.readableBytes))
        var rest = data
        while let word: UInt64 = rest.readInteger() { hash.combine(word) }
        while let byte: UInt8 = rest.readInteger() { hash.combine(byte) }
        return hash.value
    }
}
