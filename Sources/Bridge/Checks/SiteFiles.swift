import Logging
package import NIOCore
import TLS

/// Loads what a configuration names as the daemon would, without opening anything: certificates that do not fit their
/// keys, expired ones, peers on one listener that cannot be told apart.
package enum SiteFiles {
    package static func check(
        _ configuration: SiteConfiguration, on eventLoop: any EventLoop
    ) throws(BridgeError) {
        do throws(TLSError) {
            _ = try LocalTLS(configuration)
        } catch {
            throw BridgeError(.tls, error.message)
        }
        let quiet = Logger(label: "check") { _ in SwiftLogNoOpLogHandler() }
        _ = try PeerLinks.make(configuration, eventLoop: eventLoop, logger: quiet)
    }
}
