import DequeModule
import NIOCore
import ServerStreams
import TLS
import XMPP

/// One TCP connection between the bridge and the server of its site: reader, bytes that wait for the end of the turn,
/// and the stanzas that the kernel has not taken yet.
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
    /// The stanzas within `outgoing`.
    private var stanzas: [Stanza] = []
    /// The stanzas of each write that the channel has not finished, oldest first.
    private var unfinished: Deque<[Stanza]> = []
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
        // A connection that is closing gives the stanza back at its end.
        stanzas.append(stanza)
        guard !isClosing else { return }
        stanza.write(to: &outgoing)
        if outgoing.readableBytes >= LocalConnection.flushBytes { flush() }
    }

    /// Gives the channel what this turn has written.
    func flush() {
        guard !isClosing, outgoing.readableBytes > 0 else { return }
        let bytes = outgoing
        // A buffer whose bytes are on their way is not reused: that would copy them.
        outgoing = channel.allocator.buffer(capacity: min(bytes.readableBytes * 2, LocalConnection.flushBytes))
        unfinished.append(stanzas)
        stanzas = []
        let written = channel.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { _ = self.unfinished.popFirst() }
        channel.writeAndFlush(bytes, promise: written)
    }

    /// All stanzas that the kernel never took, oldest first; empty afterwards.
    func takeUnsent() -> [Stanza] {
        defer {
            unfinished = []
            stanzas = []
        }
        return unfinished.flatMap { $0 } + stanzas
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
