import Blocks
import NIOCore
import XMPP

/// The whole outbound path to DEFLATE level 6 in batches of 64, in both dialects, without a journal.
enum OutboundBench {
    static func run(_ corpus: Corpus, runs: Int, isMain: Bool) {
        for dialect in [LinkDialect.skywave, .xep] {
            // The target is for blocks, which a site of ours speaks with another.
            let name = "outbound\(dialect == .xep ? "-xep" : "")\(corpus.name)"
            let isGoal = isMain && dialect == .skywave
            var linkBytes: UInt64 = 0
            var sent = 0
            var discarded = 0
            let measurement = Measurement(items: corpus.stanzas, runs: runs) {
                let path = OutboundPath(
                    localDomains: corpus.senders, remoteDomains: corpus.recipients, level: 6, dialect: dialect)
                corpus.feed { path.read(&$0) }
                path.finish()
                linkBytes = path.linkBytes
                sent = path.sentStanzas
                discarded = path.unaskedAnswers + path.superseded
            }
            report(name, measurement.rate, "stanzas/s", isGoal ? .atLeast(161_111) : nil)
            report("\(name)-spread", measurement.spreadPercent, "percent")
            report("\(name)-link-bytes", Double(linkBytes) / Double(max(sent, 1)), "bytes/stanza")
            guard isMain else { continue }
            precondition(sent + discarded == corpus.stanzas, "outbound: \(sent) stanzas of \(corpus.stanzas) left")
            report("\(name)-elapsed", measurement.elapsedRate, "stanzas/s")
            report("\(name)-allocations", measurement.allocationsPerItem, "allocations/stanza", .atMost(2))
        }
    }
}
