import Blocks
import NIOCore
import XMPP

/// zlib alone, level 6, on the canonical bytes in batches of 64: what no outbound path over zlib can be faster than,
/// even if everything else cost nothing.
enum DeflateBench {
    static func run(_ corpus: Corpus, runs: Int) {
        let reader = StreamReader(limits: .local, root: .received)
        var batches: [ByteBuffer] = [ByteBuffer()]
        var inBatch = 0
        corpus.feed { bytes in
            reader.read(&bytes)
            while let event = reader.nextEvent() {
                guard case .stanza(let stanza) = event else { continue }
                if inBatch == OutboundPath.batchStanzas {
                    batches.append(ByteBuffer())
                    inBatch = 0
                }
                stanza.write(to: &batches[batches.count - 1])
                inBatch += 1
            }
        }
        let measurement = Measurement(items: corpus.stanzas, runs: runs) {
            var deflater = Deflater(level: 6)
            var output = ByteBuffer()
            for batch in batches {
                output.clear()
                deflater.add(batch, into: &output)
                deflater.flush(into: &output)
            }
        }
        report("outbound\(corpus.name)-zlib-alone", measurement.rate, "stanzas/s")
    }
}
