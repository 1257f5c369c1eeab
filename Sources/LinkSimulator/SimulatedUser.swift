import XMPP

/// A user with one client.
final class SimulatedUser {
    let index: Int
    unowned let site: SimulatedSite
    let bare: String
    let full: String
    /// How it answers IQ requests.
    enum Manners {
        case answers, refuses, isSilent
    }
    let manners: Manners
    /// By room: what the client believes.
    var views: [Int: RoomView] = [:]
    var sentToPair: [Int: Int] = [:]

    struct RoomView {
        /// The user wants to be in the room.
        var isWanted = false
        /// The room has put him out.
        var wasRemoved = false
        /// The room has told the client that it is in.
        var isJoined = false
        var nicks: Set<String> = []
    }

    init(_ site: SimulatedSite, index: Int, number: Int, manners: Manners) {
        self.site = site
        self.index = index
        self.manners = manners
        bare = "u\(number)@\(site.domains[0])"
        full = bare + "/r"
    }

    var nick: String { "n\(index)" }

    /// Something came from a room: presence of an occupant, most of all its own.
    func presenceReceived(_ stanza: Stanza, room: Room) {
        var view = views[room.index] ?? RoomView()
        defer { views[room.index] = view }
        guard stanza.type != .error else {
            // The join or the leaving came back: not in the room, as far as this client knows.
            view.isWanted = false
            view.isJoined = false
            view.nicks = []
            return
        }
        guard let nick = stanza.from?.resource else { return }
        let isSelf = nick == self.nick
        if stanza.type == .unavailable {
            view.nicks.remove(nick)
            if isSelf {
                // While a join is under way this answers the leaving before it.
                if view.isJoined {
                    view.isWanted = false
                    view.wasRemoved = true
                }
                view.isJoined = false
                view.nicks = []
            }
        } else if view.isWanted || view.wasRemoved {
            view.nicks.insert(nick)
            // Whoever has left counts himself out at once, whatever is still on its way to him. Whoever was put out may have
            // joined again before he heard of it.
            if isSelf {
                view.isWanted = true
                view.isJoined = true
                view.wasRemoved = false
            }
        }
    }
}
