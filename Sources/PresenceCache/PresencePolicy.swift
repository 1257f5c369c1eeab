package import NIOCore

/// What a site wants of its presence with one peer.
package struct PresencePolicy: Equatable, Sendable {
    /// What proves that a contact's server answered a probe, and so that the prober may see him.
    package enum ProbeProof: Equatable, Sendable {
        /// Presence with a `delay` of the contact or his domain, as Prosody and ejabberd answer.
        case stamped
        /// Also presence without, to exactly the full address that had probed. For servers that do not stamp
        /// (Openfire). A contact who happens to send directed presence to that resource meanwhile is taken to have
        /// authorised it.
        case addressed
    }

    /// Presence of one resource to one contact crosses at most once in this time; 0: always at once.
    package var minimumInterval: TimeAmount = .zero
    /// A link that was down for so long is told to local users by a mark on the status of the peer's users; nil: never.
    package var markAfter: TimeAmount?
    /// What is put behind the status.
    package var mark = "(link down)"
    /// A link that was down for so long makes the peer's users unavailable here; nil: never.
    package var unavailableAfter: TimeAmount?
    /// A link that is up for so long makes them again what they are. Changes that arrive first need no restoring, and a
    /// link that flaps does not make its users flap.
    package var restoreAfter: TimeAmount = .seconds(10)
    package var probeProof = ProbeProof.stamped
    /// After the first presence that answers a probe the others of the contact's resources may follow for so long.
    package var settleTime: TimeAmount = .seconds(60)
    /// What is known of a contact is believed for so long; then a probe crosses.
    package var knownFor: TimeAmount = .hours(24)
    /// An identical unanswered `subscribe`, or a probe of the same sender, crosses again after so long.
    package var repeatSubscribeAfter: TimeAmount = .hours(24)
    package var repeatProbeAfter: TimeAmount = .minutes(2)
    /// Where it is not known that the contact may see the user, equal presence crosses again after so long: a recipient
    /// of directed presence who came back would not ask for it.
    package var repeatUnprovenAfter: TimeAmount = .minutes(10)
    /// How many probes may cross at once, and how long it takes until there may be one more; 0: all at once.
    package var probeBurst = 50
    package var probeInterval: TimeAmount = .milliseconds(500)
    /// How long the local server's users have after a broken stream to be heard of again before they are asked for.
    package var localGrace: TimeAmount = .minutes(5)
    /// How long the local server may take to answer when asked.
    package var localAnswerTime: TimeAmount = .minutes(1)

    package init() {}
}

/// Bounds of what is kept of one peer.
package struct PresenceLimits: Equatable, Sendable {
    /// Pairs of bare addresses.
    package var pairs = 2_000_000
    /// Presences, of all resources in both directions.
    package var entries = 3_000_000
    /// Memory of addresses and presences as text.
    package var textBytes = 512 << 20
    /// Presences of one pair; a pair with more is not remembered.
    package var entriesPerPair = 32
    /// A presence with a larger payload is not remembered.
    package var payloadBytes = 4_096
    /// Presences and probes that wait for their time.
    package var held = 100_000
    /// Stanzas given out at one time by what goes over all users.
    package var burst = 64
    /// Until the next.
    package var pace: TimeAmount = .milliseconds(100)

    package init() {}
}
