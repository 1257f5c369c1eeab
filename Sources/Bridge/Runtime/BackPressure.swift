import NIOCore
import ServerStreams

/// Which connections towards the local server take nothing at the moment.
struct BackPressure {
    enum Change {
        case pause
        case resume
    }

    /// Stands for the queues of the local side as a whole, which fill while no stream is open. No connection has this id.
    static let queue = ConnectionID(number: .max)

    private var blocked: Set<ConnectionID> = []
    /// Set while the links are held up.
    var deadline: Scheduled<Void>?

    mutating func changed(_ id: ConnectionID, isBlocked: Bool) -> Change? {
        if isBlocked {
            return blocked.insert(id).inserted && blocked.count == 1 ? .pause : nil
        }
        return blocked.remove(id) != nil && blocked.isEmpty ? .resume : nil
    }
}
