/// The last ids of eight small hexadecimal digits of one context, near which the next ones often are: id folding counts up by
/// one (docs/id-folding.md, "Tokens").
///
/// Sender and receiver keep the same, in the order of the text. The highest bit of a token says which end of the link made
/// it, and one direction carries both: its own tokens, and the other side's where receipts and replies name them. So each
/// half of the numbers has a last one of its own, and counts within itself.
struct SerialIDs {
    /// How such an id crosses where no other is near.
    static let kind = RawID.Kind(mark: TextMark.hexadecimal, count: 4)

    private static let highBit: UInt32 = 0x8000_0000
    /// What the byte of ``TextMark/nearID`` has in its low seven bits for the last number itself: as much may it go back.
    private static let origin: UInt32 = 32
    private static let distances: UInt32 = 128

    private var lastLower: UInt32?
    private var lastUpper: UInt32?

    /// The sender is about to write an id, which is the last one of its half from then on.
    ///
    /// - Returns: the mark that stands for it, and its byte in the raw section where it has one; nil where it is not near.
    mutating func note(_ number: UInt32) -> (mark: UInt8, distance: UInt8?)? {
        let half = number & Self.highBit
        defer { remember(number) }
        guard let last = half == 0 ? lastLower : lastUpper else { return nil }
        let distance = (number &- last &+ Self.origin) & ~Self.highBit
        guard distance < Self.distances else { return nil }
        if distance == Self.origin + 1 { return (half == 0 ? TextMark.nextLowerID : TextMark.nextUpperID, nil) }
        return (TextMark.nearID, UInt8(truncatingIfNeeded: half >> 24 | distance))
    }

    /// The id that ``TextMark/nextLowerID`` or ``TextMark/nextUpperID`` stands for; nil before the first of its half.
    func next(_ mark: UInt8) -> UInt32? {
        number(Self.origin + 1, half: mark == TextMark.nextLowerID ? 0 : Self.highBit)
    }

    /// The id that ``TextMark/nearID`` stands for with its byte of the raw section; nil before the first of its half.
    func near(_ byte: UInt8) -> UInt32? {
        number(UInt32(byte & 0x7F), half: UInt32(byte) << 24 & Self.highBit)
    }

    private func number(_ distance: UInt32, half: UInt32) -> UInt32? {
        guard let last = half == 0 ? lastLower : lastUpper else { return nil }
        return (last &+ distance &- Self.origin) & ~Self.highBit | half
    }

    mutating func remember(_ number: UInt32) {
        if number & Self.highBit == 0 { lastLower = number } else { lastUpper = number }
    }

    /// The number of four bytes of the raw section, the highest first.
    static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    /// The other way round.
    static func bytes(_ number: UInt32) -> ArraySlice<UInt8> {
        ([24, 16, 8, 0] as [UInt32]).map { UInt8(truncatingIfNeeded: number >> $0) }[...]
    }
}
