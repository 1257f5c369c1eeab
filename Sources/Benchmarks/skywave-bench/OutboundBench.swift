import NIOCore
import XMPP

/// The whole outbound path to DEFLATE level 6 in batches of 64.
enum OutboundBench {
    static func run(_ corpus: Corpus, runs: Int, isMain: Bool) {
        var linkBytes: UInt64 = 0
        var sent = 0
        var discarded = 0
        let measurement = Measurement(items: corpus.stanzas, runs: runs) {
            let path = OutboundPath(
                localDomains: corpus.senders, remoteDomains: corpus.recipients, level: 6)
            corpus.feed { path.read(&$0) }
            path.finish()
            linkBytes = path.linkBytes
            sent = path.sentStanzas
            discarded = path.unaskedAnswers
        }
        report("outbound\(corpus.name)", measurement.rate, "stanzas/s", isMain ? .atLeast(161_111) : nil)
        report("outbound\(corpus.name)-spread", measurement.spreadPercent, "percent")
        report("outbound\(corpus.name)-link-bytes", Double(linkBytes) / Double(max(sent, 1)), "bytes/stanza")
        guard isMain else { return }
        precondition(sent + discarded == corpus.stanzas, "outbound: \(sent) stanzas of \(corpus.stanzas) left")
        report("outbound-elapsed", measurement.elapsedRate, "stanzas/s")
        report("outbound-allocations", measurement.allocationsPerItem, "allocations/stanza", .atMost(2))
    }
}
