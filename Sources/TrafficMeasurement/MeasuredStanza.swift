package import XMPP

/// One stanza of a recording, as it is measured.
package struct MeasuredStanza: Sendable {
    /// The site whose server sent it, 0 or 1.
    package var side: Int
    /// Since the first stanza of the recording.
    package var seconds: Double
    /// The bytes that the server wrote.
    package var written: [UInt8]
    package var stanza: Stanza

    package init(side: Int, seconds: Double, written: [UInt8], stanza: Stanza) {
        self.side = side
        self.seconds = seconds
        self.written = written
        self.stanza = stanza
    }
}
