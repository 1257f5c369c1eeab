package import NIOCore
package import XMPP

/// A way to the peer: takes batches of stanzas, or blocks, and gives the same and news of the connection.
///
/// Which of the two is a matter of the link's ``LinkDialect``; the calls and events of the other dialect do not occur.
///
/// Confined to one event loop: every method is called there and every event comes there. An event is raised only after
/// the method or network event that caused it has been dealt with, so a listener may call any method from inside one.
package protocol LinkTransport: AnyObject {
    /// Where events go. Set it before ``start()``.
    var onEvent: ((LinkEvent) -> Void)? { get set }

    /// Begins to dial, or to expect the peer, as configured.
    func start()
    /// There is something to send: dial unless connected, dialling or waiting to dial again.
    func demandConnection()
    /// Sends one batch. Allowed once after each ``LinkEvent/ready``; a batch that cannot be taken comes back as
    /// `unsent`.
    func send(_ batch: [Stanza])
    /// Sends one batch before what is left of another; allowed once after each ``LinkEvent/readyForUrgent``. Only links that raise
    /// that need it.
    func sendUrgent(_ batch: [Stanza])
    /// Sends one block of dialect `skywave`, under the same rule; one that cannot be taken vanishes, since its owner
    /// keeps what is in it until the peer has acknowledged it.
    ///
    /// - Parameter isUrgent: for transports that can let one block pass another. On TCP urgency lies in the late
    ///   choice of the next block alone.
    func send(block: ByteBuffer, isUrgent: Bool)
    /// No stanza or block is reported until ``resumeReading()``; the peer is held up by the flow control of the transport.
    func pauseReading()
    func resumeReading()
    /// Ends the connection with a stream error because the peer broke the agreement; it may be made anew later.
    func fail(_ error: StreamError)
    /// Closes politely and for good; done when nothing is open any more.
    func close() -> EventLoopFuture<Void>

    var status: LinkStatus { get }
}

extension LinkTransport {
    package func sendUrgent(_ batch: [Stanza]) { send(batch) }
}

/// News of a link.
package enum LinkEvent: Equatable, Sendable {
    /// Stanzas or blocks can be sent now; the text says how and with whom.
    case connected(description: String)
    /// What could be sent before cannot any more. `unsent` never left; `inDoubt` may have arrived, in part or in whole.
    /// Both are empty in dialect `skywave`.
    case disconnected(unsent: [Stanza], inDoubt: [Stanza], reason: String)
    /// One batch or block can be taken.
    case ready
    /// One block or batch that is urgent can be taken, while others wait within the transport: it overtakes them. A later ``ready``
    /// takes its place. In dialect `xep` only from a link that says what became of each stanza.
    case readyForUrgent
    /// Of the blocks given since the link came up so many, from the first on, are where the peer is, as its node has confirmed; TCP says
    /// nothing of it (dialect `skywave`).
    case brought(Int)
    /// The transport has so many bytes on their way at most: a larger block waits within it. Others than a radio's never say so.
    case room(Int)
    /// Whether what is sent now leaves at once. If not, the transport works on what it has, and what is sent now leaves no sooner
    /// than what is sent when it is done. True from the beginning; other transports than a radio's never say anything else.
    case turn(Bool)
    /// Dialect `xep`: stanzas of batches that were taken have arrived, as far as the link can know: the peer's node or its
    /// client has confirmed them. A link that says so of one says so of all that do not come back; TCP says it of none.
    case confirmed([Stanza])
    /// Dialect `xep`: single stanzas of batches that were taken did not reach the peer, or may not have, while the link is up.
    case returned(unsent: [Stanza], inDoubt: [Stanza])
    case received(Stanza)
    /// One whole block, in dialect `skywave`.
    case block(ByteBuffer)
    /// A stanza over the limit was skipped: its start tag as an empty stanza, and the limit in bytes.
    case oversize(Stanza, Int)
    /// What had arrived has been reported; a good moment to pass it on in one go.
    case batchEnd
}
