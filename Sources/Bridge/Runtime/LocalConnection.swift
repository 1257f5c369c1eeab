import NIOCore
import ServerStreams
import TLS
import XMPP

/// One TCP connection between the bridge and the server of its site: reader, bytes that wait for the end of the turn, and
/// how many stanzas the kernel has taken.
///
/// What is written in one turn of the event loop leaves in one write. Confined to the event loop of its channel.
final class LocalConnection {
    let id: ConnectionID
    let channel: any Channel
    let isDialled: Bool
    private let reader: StreamReader
    private let authenticatedLimits: XMLLimits

    /// Written in this turn, not yet given to the channel.
    private var outgoing = ByteBuffer()
    /// Where in `outgoing` each stanza ends.
    private var ends: [Int] = []
    /// Stanzas that the kernel took whole and that nobody was told of yet.
    private var taken = 0
    /// Called when the kernel has taken the first stanza that nobody was told of; at times from within ``flush()``.
    var onTaken: (() -> Void)?
    /// TLS is being negotiated: whatever was read in the clear after the request for it is nobody's.
    private(set) var isSecuring = false
    private(set) var isClosing = false
    /// Why the connection ended, as far as this side knows.
    var failure: String?
    /// Whether the connection still counts among those that have proved nothing.
    var admission: Admission?

    /// A place among the connections that have proved nothing yet.
    enum Admission {
        case counted(source: LocalAdmission.Source)
        /// From the server itself, which has a place of its own.
        case exempt
    }

    /// A turn that writes more than this is written in parts, so that back-pressure is felt within it.
    private static let flushBytes = 128 * 1_024

    init(id: ConnectionID, channel: any Channel, isDialled: Bool, limits: XMLLimits) {
        self.id = id
        self.channel = channel
        self.isDialled = isDialled
        authenticatedLimits = limits
        var before = XMLLimits.beforeAuthentication
        before.stanzaBytes = min(before.stanzaBytes, limits.stanzaBytes)
        reader = StreamReader(limits: before, root: .received)
    }

    // MARK: Reading

    func read(_ bytes: inout ByteBuffer) {
        reader.read(&bytes)
    }

    func nextEvent() -> StreamEvent? {
        isSecuring ? nil : reader.nextEvent()
    }

    func restartReader() {
        reader.reset()
    }

    func raiseLimits() {
        reader.setLimits(authenticatedLimits)
    }

    // MARK: Writing

    var hasOutgoing: Bool { outgoing.readableBytes > 0 }

    func write(_ text: String) {
        guard !isClosing else { return }
        outgoing.writeString(text)
    }

    func write(_ stanza: Stanza) {
        // On a connection that is closing it is never taken, so the local side sends it again on the next one.
        guard !isClosing else { return }
        stanza.write(to: &outgoing)
        ends.append(outgoing.writerIndex)
        if outgoing.readableBytes >= LocalConnection.flushBytes { flush() }
    }

    /// Gives the channel what this turn has written.
    func flush() {
        guard !isClosing, outgoing.readableBytes > 0 else { return }
        let bytes = outgoing
        // A buffer whose bytes are on their way is not reused: that would copy them.
        outgoing = channel.allocator.buffer(capacity: min(bytes.readableBytes * 2, LocalConnection.flushBytes))
        var rest = bytes
        // One write per stanza and one system call for all: a server that dies in the middle leaves no doubt which ones
        // the kernel took whole. The slices share the buffer.
        for end in ends {
            guard let slice = rest.readSlice(length: end - rest.readerIndex) else { break }
            let written = channel.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenSuccess { self.stanzaTaken() }
            channel.write(slice, promise: written)
        }
        ends.removeAll(keepingCapacity: true)
        if rest.readableBytes > 0 { channel.write(rest, promise: nil) }
        channel.flush()
    }

    private func stanzaTaken() {
        taken += 1
        if taken == 1 { onTaken?() }
    }

    /// How many more stanzas the kernel took since the last call, each one whole.
    func takeTaken() -> Int {
        defer { taken = 0 }
        return taken
    }

    // MARK: TLS and the end

    /// Puts TLS under the stream, after what was written in the clear.
    func startTLS(_ handler: TLSHandler) throws {
        flush()
        isSecuring = true
        try channel.pipeline.syncOperations.addHandler(handler, position: .first)
    }

    func secured() {
        isSecuring = false
    }

    /// Closes when everything written has left; what does not leave in time is given back.
    func close(within patience: TimeAmount) {
        guard !isClosing else { return }
        flush()
        isClosing = true
        let channel = channel
        guard channel.isActive else { return channel.close(promise: nil) }
        // An empty write is done when everything before it is.
        let drained = channel.eventLoop.makePromise(of: Void.self)
        drained.futureResult.whenComplete { _ in channel.close(promise: nil) }
        channel.writeAndFlush(ByteBuffer(), promise: drained)
        let deadline = channel.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
        channel.closeFuture.whenComplete { _ in deadline.cancel() }
    }
}
