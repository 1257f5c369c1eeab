import NIOCore
import SampleTraffic
import XMPP

/// Stanzas as the local server's stream brings them: the stream's header, then the stanzas, cut into reads.
struct Corpus {
    /// What one read of a socket brings at most.
    static let readBytes = 16_384

    var name: String
    var stanzas: Int
    /// Bytes of the stanzas alone.
    var bytes: Int
    private var reads: [ByteBuffer] = []

    init(name: String, _ stanzas: [String]) {
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
        return Corpus(name: "", generator.next(count).map(\.xml))
    }

    /// The recorded files, where there are any.
    static func recorded() -> [Corpus] {
        RecordedTraffic.besidePackage().map { Corpus(name: "-recorded-\($0.name)", $0.entries.map(\.xml)) }
    }

    var averageBytes: Double { Double(bytes) / Double(stanzas) }

    /// Feeds a fresh stream through `reader`, calling `body` after each read.
    func feed(_ reader: StreamReader, _ body: (StreamReader) -> Void) {
        for read in reads {
            var read = read
            reader.read(&read)
            body(reader)
        }
    }
}
