import Glibc
package import NIOCore

/// Decides whether one more connection may be accepted before anybody knows who it is.
///
/// Three limits: connections without a known peer altogether, the same per source, and the rate per source. So neither
/// many slow strangers nor one quick one can keep a peer out; what an accepted stranger costs is bounded by the
/// handshake's deadline. IPv6 sources count by their /64, which is what one site has.
package struct ConnectionAdmission: Equatable, Sendable {
    package struct Limits: Equatable, Sendable {
        package var pending = 128
        package var pendingPerSource = 8
        /// How many connections one source may make at once…
        package var burst = 20
        /// …and how long it takes until it may make one more.
        package var refill = TimeAmount.milliseconds(500)

        package init() {}
    }

    /// Whose connections are counted together.
    package struct Source: Hashable, Sendable {
        private let bytes: [UInt8]

        package init(_ address: SocketAddress) {
            let text = address.ipAddress ?? ""
            // A dual-stack listener shows IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
            if let packed = Self.packed(text.hasPrefix("::ffff:") ? String(text.dropFirst(7)) : text, AF_INET, 4) {
                bytes = packed
            } else {
                bytes = Self.packed(text, AF_INET6, 16).map { Array($0.prefix(8)) } ?? []
            }
        }

        private static func packed(_ text: String, _ family: CInt, _ count: Int) -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: count)
            return unsafe inet_pton(family, text, &bytes) == 1 ? bytes : nil
        }
    }

    private struct Account: Equatable {
        var pending = 0
        /// When the source has its whole burst again; the further in the future, the less it may do now.
        var fullAt: NIODeadline
    }

    private let limits: Limits
    private var accounts: [Source: Account] = [:]
    package private(set) var pending = 0
    /// Sources that are remembered.
    package var sources: Int { accounts.count }

    /// Accounts that say nothing any more are removed when there are this many: twice as many as the last time, so that
    /// the work per connection stays the same however many sources there are.
    private var sweepAt = 1_024

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Takes the connection into account, or refuses it. Each admitted one is given back by ``release(_:)``.
    package mutating func admit(_ source: Source, now: NIODeadline) -> Bool {
        if accounts.count >= sweepAt {
            accounts = accounts.filter { $0.value.pending > 0 || $0.value.fullAt > now }
            sweepAt = max(1_024, 2 * accounts.count)
        }
        var account = accounts[source] ?? Account(fullAt: now)
        let fullAt = max(account.fullAt, now) + limits.refill
        let window = TimeAmount.nanoseconds(limits.refill.nanoseconds * Int64(max(limits.burst, 1)))
        guard pending < limits.pending, account.pending < limits.pendingPerSource, fullAt <= now + window else {
            return false
        }
        account.fullAt = fullAt
        account.pending += 1
        accounts[source] = account
        pending += 1
        return true
    }

    /// The connection is gone, or it is known now whose it is.
    package mutating func release(_ source: Source) {
        guard let account = accounts[source], account.pending > 0 else { return }
        accounts[source]?.pending -= 1
        pending -= 1
    }
}
