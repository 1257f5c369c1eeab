package import NIOCore
package import XMPP

/// One of the two sites of a recording.
package enum TrafficSite: String, Sendable, CaseIterable {
    case a, b

    package var other: TrafficSite { self == .a ? .b : .a }
}

/// One stanza of a traffic file.
package struct RecordedStanza: Equatable, Sendable {
    /// Since the first stanza of the recording.
    package var time: TimeAmount
    /// The site that sent it.
    package var site: TrafficSite
    package var stanza: Stanza
    /// The stanza's bytes as they stand in the file, which need not be the canonical ones.
    package var source: ByteBuffer

    package init(time: TimeAmount, site: TrafficSite, stanza: Stanza, source: ByteBuffer) {
        self.time = time
        self.site = site
        self.stanza = stanza
        self.source = source
    }
}
