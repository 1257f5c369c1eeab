package import NIOCore

/// How long a transmission takes and when its parts can be read: the modem and radio of one direction in numbers.
///
/// ```
/// key-up   K    transmitter on, nothing for the receiver yet
/// preamble P    after it the receiver knows that there is a transmission
/// lead-in       synchronous serial modem only: the modem waits for a whole block of data, of which the preamble covers a part
/// blocks   N×I  the data, in interleaver blocks; the last one is filled up
/// ```
///
/// A D_PDU can be read when the block with its last bit is in, and after the decoding delay; over synchronous serial
/// lines one block later, since data leave the modem at the rate of the air.
package struct TransmissionTiming: Hashable, Sendable {
    /// The line between node and modem.
    package enum ModemLine: Hashable, Sendable {
        /// Data go in and out faster than on the air (modems on TCP).
        case packet
        /// Data go in and out at the rate of the air.
        case synchronous
    }

    /// User data on the air, 1 or more.
    package var bitsPerSecond: Int
    /// Duration of an interleaver block; zero means that nothing is rounded.
    package var interleaver: TimeAmount
    package var preamble: TimeAmount
    /// From the order to transmit to the first symbol.
    package var keyUp: TimeAmount
    /// From the end of a block to its data.
    package var decode: TimeAmount
    /// Bits that the modem sends after the data: flush, end of message.
    package var tailBits: Int
    package var line: ModemLine

    package init(
        bitsPerSecond: Int, interleaver: TimeAmount, preamble: TimeAmount, keyUp: TimeAmount = .milliseconds(200),
        decode: TimeAmount = .milliseconds(100), tailBits: Int, line: ModemLine = .packet
    ) {
        self.bitsPerSecond = max(1, bitsPerSecond)
        self.interleaver = max(.zero, interleaver)
        self.preamble = max(.zero, preamble)
        self.keyUp = max(.zero, keyUp)
        self.decode = max(.zero, decode)
        self.tailBits = max(0, tailBits)
        self.line = line
    }

    private static let second: Int64 = 1_000_000_000

    // MARK: Blocks

    /// Bits of one interleaver block.
    package var blockBits: Double { Double(bitsPerSecond) * Double(interleaver.nanoseconds) / Double(Self.second) }

    /// The block, counted from 0, with the last of `bits` bits; -1 for no bits. Always 0 or less without interleaver
    /// blocks.
    package func block(withBit bits: Int) -> Int {
        guard interleaver > .zero, bits > 0 else { return bits > 0 ? 0 : -1 }
        return Self.quotient(bits, rate: bitsPerSecond, of: interleaver.nanoseconds) - 1
    }

    /// Interleaver blocks for so many bytes and the tail; 1 without interleaver blocks.
    package func blocks(bytes: Int) -> Int {
        max(1, block(withBit: 8 * max(0, bytes) + tailBits) + 1)
    }

    /// Duration of the data on the air, from the first block's start: whole blocks, where there are blocks.
    package func dataDuration(bytes: Int) -> TimeAmount {
        guard interleaver > .zero else { return airTime(bits: 8 * max(0, bytes) + tailBits) }
        return interleaver * blocks(bytes: bytes)
    }

    /// The most bytes whose blocks last at most `limit`, 0 if not even one does.
    package func capacity(within limit: TimeAmount) -> Int {
        let usable = interleaver > .zero ? interleaver * Int(limit.nanoseconds / interleaver.nanoseconds) : limit
        let (bits, overflow) = Int64(bitsPerSecond).multipliedReportingOverflow(by: usable.nanoseconds)
        guard !overflow else { return .max }
        return max(0, (Int(bits / Self.second) - tailBits) / 8)
    }

    /// Duration of so many bits at the rate of the air, not rounded to blocks.
    package func airTime(bits: Int) -> TimeAmount {
        .nanoseconds(Int64((Double(bits) * Double(Self.second) / Double(bitsPerSecond)).rounded(.up)))
    }

    // MARK: The transmission

    /// Synchronous lines: what the preamble does not cover of the block that has to be in the modem before it can be
    /// sent.
    package var leadIn: TimeAmount { line == .synchronous ? max(.zero, interleaver - preamble) : .zero }
    /// Synchronous lines: how much later than on the air data leave the modem.
    package var clockOut: TimeAmount { line == .synchronous ? interleaver : .zero }
    /// From the order to transmit until a receiver can know of it.
    package var untilHeard: TimeAmount { keyUp + preamble }
    /// From the order to transmit to the start of the first block.
    package var untilData: TimeAmount { keyUp + preamble + leadIn }

    /// From the order to transmit to the end of the last block.
    package func duration(bytes: Int) -> TimeAmount { untilData + dataDuration(bytes: bytes) }

    /// From the order to transmit until what ends after `bytes` bytes of the transmission can be read.
    package func availability(afterBytes bytes: Int) -> TimeAmount {
        let inAir = interleaver > .zero ? interleaver * (block(withBit: 8 * bytes) + 1) : airTime(bits: 8 * bytes)
        return untilData + inAir + clockOut + decode
    }

    /// From the order to transmit until all of a transmission of `bytes` bytes can be read.
    package func durationUntilRead(bytes: Int) -> TimeAmount { duration(bytes: bytes) + clockOut + decode }

    /// The value of the end-of-transmission field: half-seconds, rounded up, from the start of what begins after
    /// `offset` bytes of data to the end of data that last `total` (STANAG 5066 Ed. 3 §C.3.2.3).
    package func endOfTransmission(offset: Int, total: TimeAmount) -> UInt8 {
        let left = total.nanoseconds - airTime(bits: 8 * offset).nanoseconds
        return UInt8(clamping: (left + Self.second / 2 - 1) / (Self.second / 2))
    }

    /// `bits` divided by the bits of `nanoseconds` at `rate`, rounded up.
    private static func quotient(_ bits: Int, rate: Int, of nanoseconds: Int64) -> Int {
        let (block, overflow) = Int64(rate).multipliedReportingOverflow(by: nanoseconds)
        let (scaled, tooLarge) = Int64(bits).multipliedReportingOverflow(by: second)
        guard !overflow, !tooLarge, block > 0 else {
            return Int((Double(bits) * Double(second) / (Double(rate) * Double(nanoseconds))).rounded(.up))
        }
        return Int((scaled + block - 1) / block)
    }
}
