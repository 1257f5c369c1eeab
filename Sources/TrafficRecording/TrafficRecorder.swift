package import NIOCore
package import XMPP

/// Decides what of the stanzas that pass goes into a traffic file, and counts all of them.
package struct TrafficRecorder {
    package struct Counts: Equatable, Sendable {
        /// Stanzas in the file, of either site.
        package var a = 0
        package var b = 0
        /// Stanzas left out: over the size that is read, without a sender, or impossible to redact.
        package var tooLarge = 0
        package var senderless = 0
        package var unredactable = 0

        package init() {}

        package var recorded: Int { a + b }
    }

    private let sites: SiteAssignment
    private let redactor: StanzaRedactor?
    private let maximumBytes: Int
    private var writer: TrafficWriter
    package private(set) var counts = Counts()
    /// Bytes of the file as it stands, its end included.
    package private(set) var bytes: Int
    /// Whether the file has its end: at its size, or because it was asked for.
    package private(set) var isFinished = false

    /// - Parameter maximumBytes: the greatest size of the file; it is ended before it would be larger.
    package init(sites: SiteAssignment, redactor: StanzaRedactor? = nil, maximumBytes: Int = .max) {
        self.sites = sites
        self.redactor = redactor
        self.maximumBytes = maximumBytes
        writer = TrafficWriter(isRedacted: redactor != nil)
        bytes = writer.opening.utf8.count + TrafficWriter.closing.utf8.count
    }

    /// What begins the file.
    package var opening: String { writer.opening }

    /// A stanza passed. Appends what is to be appended to the file: an entry, nothing, or its end.
    package mutating func stanzaPassed(_ stanza: Stanza, now: NIODeadline, to buffer: inout ByteBuffer) {
        guard !isFinished else { return }
        guard let sender = stanza.fromDomain else {
            counts.senderless += 1
            return
        }
        let site = sites.site(of: sender)
        var kept = stanza
        if let redactor {
            guard let redacted = redactor.redacted(stanza) else {
                counts.unredactable += 1
                return
            }
            kept = redacted
        }
        var next = writer
        var entry = ByteBuffer()
        next.write(kept, from: site, now: now, to: &entry)
        guard bytes + entry.readableBytes <= maximumBytes else { return finish(to: &buffer) }
        writer = next
        bytes += entry.readableBytes
        if site == .a { counts.a += 1 } else { counts.b += 1 }
        buffer.writeBuffer(&entry)
    }

    /// A stanza passed that was too large to be read.
    package mutating func oversizePassed() {
        if !isFinished { counts.tooLarge += 1 }
    }

    /// Appends the end of the file, once.
    package mutating func finish(to buffer: inout ByteBuffer) {
        guard !isFinished else { return }
        isFinished = true
        buffer.writeString(TrafficWriter.closing)
    }
}
