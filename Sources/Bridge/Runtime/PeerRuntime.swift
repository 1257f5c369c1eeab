import BridgeCore
import NIOCore
import Transports
import XMPP

/// One peer's link, with what was configured for it.
final class PeerRuntime {
    /// Its place among the site's peers.
    let number: Int
    let configuration: PeerConfiguration
    let link: any LinkTransport

    init(_ number: Int, _ configuration: PeerConfiguration, link: any LinkTransport) {
        self.number = number
        self.configuration = configuration
        self.link = link
    }
}
