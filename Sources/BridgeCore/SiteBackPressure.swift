import NIOCore
import ServerStreams

/// Which connections towards the local server take nothing at the moment, and since when that holds up the links.
struct SiteBackPressure {
    enum Change {
        case hold, release
    }

    /// Stands for the queues of the local side as a whole, which fill while no stream is open. No connection has this id.
    static let queue = ConnectionID(number: .max)

    private var blocked: Set<ConnectionID> = []
    /// When the links are let go although the server is still slow; nil while they are not held.
    private(set) var deadline: NIODeadline?

    mutating func changed(
        _ id: ConnectionID, isBlocked: Bool, patience: TimeAmount, now: NIODeadline
    ) -> Change? {
        if isBlocked {
            guard blocked.insert(id).inserted, blocked.count == 1, patience > .zero else { return nil }
            deadline = now + patience
            return .hold
        }
        guard blocked.remove(id) != nil, blocked.isEmpty, deadline != nil else { return nil }
        deadline = nil
        return .release
    }

    /// True once, when patience is over.
    mutating func isOver(now: NIODeadline) -> Bool {
        guard let deadline, deadline <= now else { return false }
        self.deadline = nil
        return true
    }
}
