package import NIOCore

extension Waveform {
    /// What a transmission in this mode takes, with a radio and a modem of these delays.
    package func timing(
        keyUp: TimeAmount = .milliseconds(200), decode: TimeAmount = .milliseconds(100),
        line: TransmissionTiming.ModemLine = .packet
    ) -> TransmissionTiming {
        TransmissionTiming(
            bitsPerSecond: bitsPerSecond, interleaver: blockDuration, preamble: preamble, keyUp: keyUp, decode: decode,
            tailBits: tailBits, line: line)
    }
}
