import NIOCore
import Transports

/// Who may connect to the local listener before anybody knows who it is (docs/lessons.md, d12).
///
/// The server of the site has its own place: connections from its address are limited only by what the listener takes
/// altogether. All others share few places, fewer per source, so that half-open connections cost nothing that matters
/// and cannot keep the server out.
struct LocalAdmission {
    typealias Source = ConnectionAdmission.Source

    private var strangers: ConnectionAdmission
    private let server: SocketAddress?
    private(set) var refused: UInt64 = 0

    /// - Parameter server: the address of the site's server, where it is known as an address.
    init(_ limits: LocalLimits, server: SocketAddress?) {
        var admission = ConnectionAdmission.Limits()
        admission.pending = limits.unprovedConnections
        admission.pendingPerSource = limits.unprovedPerAddress
        // Dialback of many domains at once comes in bursts (lab: six connections for two domains).
        admission.burst = 4 * limits.unprovedPerAddress
        admission.refill = .milliseconds(20)
        strangers = ConnectionAdmission(limits: admission)
        self.server = server
    }

    mutating func admit(_ address: SocketAddress, now: NIODeadline) -> LocalConnection.Admission? {
        let source = Source(address)
        if let server, Source(server) == source { return .exempt }
        guard strangers.admit(source, now: now) else {
            refused += 1
            return nil
        }
        return .counted(source: source)
    }

    mutating func release(_ admission: LocalConnection.Admission) {
        switch admission {
        case .counted(let source): strangers.release(source)
        case .exempt: break
        }
    }
}
