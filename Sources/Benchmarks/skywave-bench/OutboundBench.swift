import Blocks
import BridgeCore
import NIOCore
import Profiles
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

    /// The same in blocks under the profile `hf`: its rules, the memory of presence and short ids, all that a bridge on
    /// a slow link does before it compresses. Level 6, though `hf` asks for 9, so that it stands beside the other.
    static func runNarrow(_ corpus: Corpus, runs: Int) {
        guard let profile = try? CompiledProfile(ProfileBench.shippedProfiles().profile(named: "hf")) else {
            print("not measured: profile hf could not be read")
            return
        }
        var linkBytes: UInt64 = 0
        var sent = 0
        var events: [PeerStatus.EventCount] = []
        let measurement = Measurement(items: corpus.stanzas, runs: runs) {
            let path = OutboundPath(
                localDomains: corpus.senders, remoteDomains: corpus.recipients, level: 6, dialect: .skywave,
                profile: profile)
            corpus.feed { path.read(&$0) }
            path.finish()
            (linkBytes, sent, events) = (path.linkBytes, path.sentStanzas, path.events)
        }
        let name = "outbound-hf\(corpus.name)"
        report(name, measurement.rate, "stanzas/s", corpus.name.isEmpty ? .atLeast(161_111) : nil)
        report("\(name)-spread", measurement.spreadPercent, "percent")
        report("\(name)-crossed", 100 * Double(sent) / Double(corpus.stanzas), "percent of what came")
        report("\(name)-link-bytes", Double(linkBytes) / Double(max(sent, 1)), "bytes/stanza that crossed")
        report("\(name)-allocations", measurement.allocationsPerItem, "allocations/stanza")
        for event in events { print("  \(event.count) of \(corpus.stanzas): \(event.event.rawValue)") }
    }
}
