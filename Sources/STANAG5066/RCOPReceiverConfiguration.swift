package import NIOCore

/// What an ``RCOPReceiver`` takes and how much it holds.
package struct RCOPReceiverConfiguration: Equatable, Sendable {
    package var framing: RCOPFraming
    /// The only application that is taken; nil for any, to find out what a foreign peer uses.
    package var application: RCOPApplication?
    /// Bytes of one unit.
    package var unitBytes = 1 << 20
    /// Bytes held for the unfinished units of one source, with what keeping them costs.
    package var sourceBytes = 4 << 20
    /// The same for all sources together.
    package var totalBytes = 16 << 20
    package var sources = 64
    /// How long after its last segment the rest of a unit is waited for. Longer than a sender tries again what was
    /// lost, on a link that breaks for a while.
    package var assemblyTimeout = TimeAmount.hours(6)
    /// How long what was delivered is known again. At most 128 units of each connection are: about 20 kB, which do not
    /// count as held.
    package var repeatMemory = TimeAmount.hours(12)

    package init(framing: RCOPFraming, application: RCOPApplication?) {
        self.framing = framing
        self.application = application
    }
}
