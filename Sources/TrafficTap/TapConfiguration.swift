package import NIOCore
package import TrafficRecording

/// Where a tap stands, and what it records how long.
package struct TapConfiguration: Sendable {
    /// A listener, and the server or bridge to which its connections are passed on.
    package struct Way: Equatable, Sendable {
        package var listenHost: String
        /// 0: any free one.
        package var listenPort: Int
        package var upstreamHost: String
        package var upstreamPort: Int

        package init(listenHost: String, listenPort: Int, upstreamHost: String, upstreamPort: Int) {
            self.listenHost = listenHost
            self.listenPort = listenPort
            self.upstreamHost = upstreamHost
            self.upstreamPort = upstreamPort
        }
    }

    /// Servers dial each other, so one way for what each of them opens.
    package var ways: [Way]
    package var sites: SiteAssignment
    /// The traffic file to make.
    package var path: String
    /// Whether a file of that name is replaced.
    package var replaces = false
    /// Random, for ``StanzaRedactor``; nil: stanzas are recorded as they are.
    package var redactionKey: (UInt64, UInt64)?
    /// The greatest size of the file in bytes.
    package var maximumBytes = Int.max
    /// How long to record, from the start on; nil: until told to stop.
    package var duration: TimeAmount?

    package init(ways: [Way], sites: SiteAssignment, path: String) {
        self.ways = ways
        self.sites = sites
        self.path = path
    }
}
