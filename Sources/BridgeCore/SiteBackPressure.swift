import NIOCore
import ServerStreams

/// Which connections towards the local server take nothing at the moment, and how long that may hold up links.
struct SiteBackPressure {
    enum Change {
        /// The first one takes nothing any more.
        case blocked
        /// All take something again.
        case freed
    }

    /// Stands for the queues of the local side as a whole, which fill while no stream is open. No connection has this id.
    static let queue = ConnectionID(number: .max)

    private var blocked: Set<ConnectionID> = []
    /// When links are let go although the server is still slow; nil while they are not held.
    private(set) var deadline: NIODeadline?

    var holds: Bool { deadline != nil }

    mutating func changed(
        _ id: ConnectionID, isBlocked: Bool, patience: TimeAmount, now: NIODeadline
    ) -> Change? {
        if isBlocked {
            guard blocked.insert(id).inserted, blocked.count == 1 else { return nil }
            deadline = patience > .zero ? now + patience : nil
            return .blocked
        }
        guard blocked.remove(id) != nil, blocked.isEmpty else { return nil }
        deadline = nil
        return .freed
    }

    /// True once, when patience is over.
    mutating func isPatienceOver(now: NIODeadline) -> Bool {
        guard let deadline, deadline <= now else { return false }
        self.deadline = nil
        return true
    }
}
