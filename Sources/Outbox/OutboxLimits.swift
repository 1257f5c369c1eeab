package import NIOCore

/// How much may wait for one peer, and for how long.
package struct OutboxLimits: Equatable, Sendable {
    /// Canonical bytes of all waiting stanzas.
    package var maximumBytes: Int
    /// Waiting stanzas. Each costs about 200 bytes beyond its own.
    package var maximumStanzas: Int
    /// Messages older than this come back to their sender.
    package var messageLifetime: TimeAmount
    /// IQ requests older than this come back to their sender.
    package var requestLifetime: TimeAmount
    /// Available presence and probes older than this are dropped silently.
    package var presenceLifetime: TimeAmount

    package var classes = OutboxClasses()

    package init(
        maximumBytes: Int = 64 << 20, maximumStanzas: Int = 100_000, messageLifetime: TimeAmount = .hours(24),
        requestLifetime: TimeAmount = .minutes(5), presenceLifetime: TimeAmount = .minutes(30)
    ) {
        self.maximumBytes = maximumBytes
        self.maximumStanzas = maximumStanzas
        self.messageLifetime = messageLifetime
        self.requestLifetime = requestLifetime
        self.presenceLifetime = presenceLifetime
    }

    /// In milliseconds.
    func lifetime(_ lifetime: StanzaLifetime) -> UInt64? {
        switch lifetime {
        case .message: Self.milliseconds(messageLifetime)
        case .request: Self.milliseconds(requestLifetime)
        case .presence: Self.milliseconds(presenceLifetime)
        case .unlimited: nil
        }
    }

    var shortestLifetime: UInt64 {
        Self.milliseconds(min(messageLifetime, requestLifetime, presenceLifetime))
    }

    private static func milliseconds(_ amount: TimeAmount) -> UInt64 { UInt64(max(amount.nanoseconds, 0)) / 1_000_000 }

    /// What must arrive in the end is still taken when everything else is refused, up to this much more.
    var reservedBytes: Int { maximumBytes / 8 + (1 << 16) }
    var reservedStanzas: Int { maximumStanzas / 8 + 64 }
}
