import NIOCore

/// How far the other end's TCP has acknowledged what was written on a connection.
///
/// XEP-0361 has no acknowledgements of its own. What TCP has not acknowledged when a connection dies has certainly not
/// been read by the peer or is at least in doubt; what it has acknowledged lay in the peer's machine. So a sender can be
/// told the truth about the bytes that were on their way.
struct TCPAcknowledgement {
    /// Payload bytes that are acknowledged; everything, where the system does not say.
    private(set) var bytes: UInt64 = 0
    /// What the kernel counted before the first payload: the connection's own first packet, at the dialling end.
    private var base: UInt64?

    mutating func start(on channel: any Channel) {
        base = Self.count(on: channel)
        bytes = base == nil ? .max : 0
    }

    mutating func refresh(from channel: any Channel) {
        guard let base, let count = Self.count(on: channel), count >= base else { return }
        bytes = count - base
    }

    private static func count(on channel: any Channel) -> UInt64? {
        guard let provider = channel as? any SocketOptionProvider else { return nil }
        let answer: EventLoopFuture<TCPInformation> = provider.unsafeGetSocketOption(level: .tcp, name: .tcp_info)
        var count: UInt64?
        // On the channel's event loop the answer is there at once.
        answer.assumeIsolated().whenSuccess { count = $0.bytesAcknowledged }
        return count
    }
}

/// `struct tcp_info` of linux/tcp.h, as far as it is of interest: 8 bytes of small fields, 24 fields of 4 bytes, then 8 byte
/// fields: pacing rate, greatest pacing rate, bytes acknowledged (since Linux 4.1; 0 before).
private struct TCPInformation: Sendable {
    private let words: InlineArray<32, UInt64>

    var bytesAcknowledged: UInt64 { words[15] }
}
