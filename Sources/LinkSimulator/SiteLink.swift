import BridgeCore
import NIOCore
import XMPP

/// What joins two sites, as their bridges and those who do harm see it.
protocol SiteLink: AnyObject {
    /// Both ends are connected, as far as one can know.
    var isConnected: Bool { get }
    /// Nothing is under way.
    var isQuiet: Bool { get }
    var blocks: Int { get }
    var bytes: Int { get }

    func other(_ site: SimulatedSite) -> SimulatedSite
    /// Sets what a bridge would set for a link of this kind.
    func adapt(_ policy: inout PeerPolicy, _ scenario: Scenario)

    // MARK: Bridges
    func processStarted(_ site: SimulatedSite)
    /// The process at this end is gone; the other end learns of it, soon or late.
    func processGone(_ site: SimulatedSite, kernelLives: Bool)
    /// Something waits at this end and there is no connection.
    func wanted(by site: SimulatedSite)
    /// This end ends the connection.
    func failed(by site: SimulatedSite)
    func send(_ load: LinkLoad, from site: SimulatedSite)
    /// The site stops reading, or goes on.
    func held(by site: SimulatedSite, _ isHeld: Bool)

    // MARK: Faults
    func cut(_ remains: LinkRemains, isSilent: Bool)
    func setUp(_ isUp: Bool)
    /// Faults are over: everything works from now on.
    func heal()
}

/// What a bridge puts on a link.
enum LinkLoad {
    case block(ByteBuffer, isUrgent: Bool)
    case stanzas([Stanza])
}

/// What a cut leaves of what is on its way.
enum LinkRemains {
    /// A part of each direction, at random.
    case some
    /// Everything of this direction, nothing of the other: acknowledgements are lost.
    case all(of: Int)
}
