package import NIOCore

/// What a pair of nodes carries on a channel without errors, by arithmetic: the oracle for the simulated nodes, which
/// share none of its code but the timing of a transmission.
///
/// A cycle is a transmission of data, the turnaround, an acknowledgement and the turnaround back. The transmission has
/// as many frames as the window and 127.5 s at the rate of the air allow; so many bytes need a whole number of
/// interleaver blocks.
package struct ClosedForm: Hashable, Sendable {
    package var timing: TransmissionTiming
    package var segmentBytes: Int
    package var addressBytes = 7
    package var window = 128
    package var turnaround: TimeAmount
    /// Bytes of each U_PDU.
    package var unitBytes = 2048
    /// Of these, what is no payload of the application.
    package var unitOverhead = 6

    /// DATA C_PDU and DATA S_PDU without time to die.
    package static let upperOverhead = 4

    package init(timing: TransmissionTiming, segmentBytes: Int, turnaround: TimeAmount) {
        self.timing = timing
        self.segmentBytes = segmentBytes
        self.turnaround = turnaround
    }

    package struct Bulk: Hashable, Sendable {
        /// Mean of a cycle, seconds.
        package var cycle: Double
        /// Payload bits per second.
        package var goodput: Double
        /// Goodput by the rate of the air, percent.
        package var utilisation: Double
    }

    private var unitOnAir: Int { unitBytes + Self.upperOverhead }

    /// One direction, always something to send.
    package var bulk: Bulk {
        let overhead = DPDU.dataOverhead + addressBytes
        let limit = 127.5 * Double(timing.bitsPerSecond) / 8
        let answer = timing.duration(bytes: DPDU.acknowledgementOverhead + addressBytes) + timing.clockOut
        var seconds = 0.0
        var segments = 0
        var rest = unitOnAir
        // Units do not end with transmissions, so that cycles differ.
        let cycles = 64
        for _ in 0..<cycles {
            var frames = 0
            var bytes = 0
            while frames < window {
                let segment = min(segmentBytes, rest)
                guard frames == 0 || Double(bytes + segment + overhead) <= limit else { break }
                frames += 1
                bytes += segment + overhead
                segments += segment
                rest = rest == segment ? unitOnAir : rest - segment
            }
            let data = timing.duration(bytes: bytes) + timing.clockOut
            seconds += Self.seconds(data + answer + turnaround * 2)
        }
        let payload = Double(segments) * Double(unitBytes - unitOverhead) / Double(unitOnAir)
        let goodput = payload * 8 / seconds
        return Bulk(
            cycle: seconds / Double(cycles), goodput: goodput,
            utilisation: 100 * goodput / Double(timing.bitsPerSecond))
    }

    /// Bytes of the D_PDU with a whole unit.
    private var frameBytes: Int { unitOnAir + DPDU.dataOverhead + addressBytes }

    /// From the request to the delivery of one unit in one D_PDU, with a link; seconds. The block with its last bit has
    /// to be in, the modem's tail need not.
    package var warmLatency: Double { Self.seconds(timing.availability(afterBytes: frameBytes)) }

    /// The same without a link: a call and its acceptance come first.
    package var coldLatency: Double { callDuration + warmLatency }

    /// ``warmLatency`` for who counts a unit as delivered when its whole transmission is in, the modem's tail included.
    package var warmLatencyWithTail: Double { Self.seconds(timing.durationUntilRead(bytes: frameBytes)) }

    /// ``coldLatency``, counted so.
    package var coldLatencyWithTail: Double { callDuration + warmLatencyWithTail }

    /// So many units, each answered by one of its size as soon as it is there; seconds from the request of the first,
    /// without a link, to the delivery of the last answer.
    package func exchangeLatency(_ count: Int) -> Double {
        let answerBytes = frameBytes + 1
        let data = timing.duration(bytes: frameBytes) + timing.clockOut + turnaround
        let answer = timing.duration(bytes: answerBytes) + timing.clockOut + turnaround
        let last = timing.availability(afterBytes: answerBytes)
        // All requests but the first acknowledge the answer before.
        return callDuration + Self.seconds(data + answer * (2 * count - 2) + last)
    }

    /// A call, its acceptance and the turnarounds behind both.
    private var callDuration: Double {
        let call = timing.duration(bytes: DPDU.nonARQOverhead + addressBytes + 1) + timing.clockOut + turnaround
        return 2 * Self.seconds(call)
    }

    static func seconds(_ time: TimeAmount) -> Double { Double(time.nanoseconds) / 1_000_000_000 }
}
