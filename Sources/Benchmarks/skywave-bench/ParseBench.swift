import XMPP

/// Bytes of a stream to canonical stanzas with their index.
enum ParseBench {
    static func run(_ corpus: Corpus, runs: Int, isMain: Bool) {
        var seen = 0
        let measurement = Measurement(items: corpus.stanzas, runs: runs) {
            seen = 0
            let reader = StreamReader(limits: .local, root: .received)
            corpus.feed { bytes in
                reader.read(&bytes)
                while let event = reader.nextEvent() {
                    if case .stanza = event { seen += 1 }
                }
            }
        }
        precondition(seen == corpus.stanzas, "parse: \(seen) stanzas of \(corpus.stanzas) came out")
        report("parse\(corpus.name)", measurement.rate, "stanzas/s", isMain ? .atLeast(400_000) : nil)
        report("parse\(corpus.name)-spread", measurement.spreadPercent, "percent")
        report("parse\(corpus.name)-bytes-per-stanza", corpus.averageBytes, "bytes")
        guard isMain else { return }
        report("parse-elapsed", measurement.elapsedRate, "stanzas/s")
        report("parse-allocations", measurement.allocationsPerItem, "allocations/stanza", .atMost(2))
    }
}
