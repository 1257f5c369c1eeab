import NIOCore
import SampleTraffic
import TrafficRecording
import XMPP

/// Stanzas as the local server's stream brings them: the stream's header, then the stanzas, cut into reads.
struct Corpus {
    /// What one read of a socket brings at most.
    static let readBytes = 16_384

    var name: String
    var stanzas: Int
    /// Bytes of the stanzas alone.
    var bytes: Int
    /// The domains of the two sides, for the agreement that the stanzas must meet.
    var senders: [String]
    var recipients: [String]
    private var reads: [ByteBuffer] = []

    init(name: String, _ stanzas: [String], senders: [String], recipients: [String]) {
        self.senders = senders
        self.recipients = recipients
        self.name = name
        self.stanzas = stanzas.count
        bytes = stanzas.reduce(0) { $0 + $1.utf8.count }
        var stream = ByteBuffer()
        stream.writeString(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
                + "xmlns:db='jabber:server:dialback' from='ship.example' to='shore.example' id='s1' version='1.0'>")
        for stanza in stanzas { stream.writeString(stanza) }
        while let read = stream.readSlice(length: min(Self.readBytes, stream.readableBytes)), read.readableBytes > 0 {
            reads.append(ByteBuffer(bytes: read.readableBytesView))
        }
    }

    /// The project's own traffic: fixed seed, bodies and ids that differ.
    static func generated(_ count: Int = 20_000) -> Corpus {
        var generator = TrafficGenerator(seed: 2)
        return Corpus(
            name: "", generator.next(count).map(\.xml), senders: ["ship.example", "conference.ship.example"],
            recipients: ["shore.example", "*.shore.example"])
    }

    /// What one site sent in the recorded files, where there are any.
    static func recorded() -> [Corpus] {
        RecordedTraffic.besidePackage().map {
            Corpus(
                name: "-recorded-\($0.name)", $0.entries.filter { $0.site == .a }.map { String(buffer: $0.source) },
                senders: ["alpha.example", "conference.alpha.example"],
                recipients: ["bravo.example", "*.bravo.example"])
        }
    }

    var averageBytes: Double { Double(bytes) / Double(stanzas) }

    /// Gives the stream to `body`, read by read.
    func feed(_ body: (inout ByteBuffer) -> Void) {
        for read in reads {
            var read = read
            body(&read)
        }
    }
}
