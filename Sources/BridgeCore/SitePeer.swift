import NIOCore

/// One peer's machine within a site, with what the site remembers about it.
final class SitePeer {
    /// Why a link is not read.
    struct Holds: OptionSet {
        let rawValue: UInt8

        /// The peer's inbox is full.
        static let inbox = Holds(rawValue: 1)
        /// The local server reads too slowly.
        static let pressure = Holds(rawValue: 2)
        /// The journal takes nothing.
        static let journal = Holds(rawValue: 4)
    }

    let number: Int
    var machine: PeerStateMachine
    /// When the machine wants to be called.
    var deadline: NIODeadline?
    /// Whether it waits in the list of machines with actions to draw.
    var isMarked = false
    /// Whether it had an input since its batch was last asked for.
    var isTouched = false
    var holds: Holds = []

    init(number: Int, machine: consuming PeerStateMachine) {
        self.number = number
        self.machine = machine
    }
}
