import NIOCore

/// Recorded server-to-server traffic, whole in memory: stanzas as they passed between two real servers, in order of arrival.
package struct RecordedTraffic: Sendable {
    /// The file's name without its ending.
    package var name: String
    package var entries: [RecordedStanza]
    /// Whether the file has its end; without it some stanzas may be missing.
    package var ending: TrafficReader.Ending

    /// Reads a traffic file (docs/recording.md). One that ends in the middle, as a recording that was killed does, gives the
    /// stanzas before its end.
    ///
    /// - Throws: where the text is no traffic document, or something in it cannot be read.
    package init(name: String, document: [UInt8]) throws(TrafficError) {
        var reader = TrafficReader()
        var bytes = ByteBuffer(bytes: document)
        var entries: [RecordedStanza] = []
        reader.read(&bytes)
        while let entry = try reader.next() { entries.append(entry) }
        ending = try reader.finish()
        self.name = name
        self.entries = entries
    }
}
