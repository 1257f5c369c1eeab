import NIOCore
import ServerStreams
import TLS
import XMPP

/// Asks the local server on behalf of remote domains, by the streams that the daemon itself would use, and watches for
/// the answers. Confined to the event loop of the site.
final class DialProbe: SiteProbe {
    /// One question and what became of it.
    struct Question {
        enum Purpose {
            /// `disco#info`: any answer proves both ways.
            case way
            /// `disco#items`: the services of the server.
            case services
        }

        enum Outcome: Equatable {
            case waiting
            case answered(after: TimeAmount)
            case undeliverable(StanzaErrorCondition)
        }

        var remote: Domain
        var local: Domain
        var purpose: Purpose
        var askedAt: NIODeadline
        var outcome = Outcome.waiting
    }

    private(set) var questions: [String: Question] = [:]
    /// The domains of the services that the server told of.
    private(set) var services: [Domain] = []
    private(set) var notes: [LocalNote] = []

    /// More than this of what the server says is not kept.
    private static let maximumKept = 256

    var isDone: Bool {
        questions.values.allSatisfy { $0.outcome != .waiting }
    }

    /// Notes the question and returns it as a stanza.
    func ask(_ purpose: Question.Purpose, from remote: Domain, to local: Domain, now: NIODeadline) -> Stanza {
        let id = SecureRandom.hex(bytes: 8)
        questions[id] = Question(remote: remote, local: local, purpose: purpose, askedAt: now)
        var writer = StanzaWriter()
        writer.start(
            "iq", XMLNamespace.server, [("to", local.string), ("from", remote.string), ("type", "get"), ("id", id)])
        writer.start("query", purpose == .way ? XMLNamespace.discoInfo : XMLNamespace.discoItems)
        writer.end()
        writer.end()
        return writer.finish()
    }

    // MARK: SiteProbe

    func received(_ stanza: Stanza) {
        guard stanza.isIQAnswer, let id = stanza.id, var question = questions[id], question.outcome == .waiting,
            stanza.fromDomainEquals(question.local), stanza.toDomainEquals(question.remote)
        else { return }
        question.outcome = .answered(after: NIODeadline.now() - question.askedAt)
        questions[id] = question
        guard question.purpose == .services, let query = stanza.root.firstChild("query", XMLNamespace.discoItems) else {
            return
        }
        for item in query.children.prefix(DialProbe.maximumKept) where item.name == "item" {
            guard let domain = item.attribute("jid").flatMap({ JID($0) })?.domain, !services.contains(domain),
                services.count < DialProbe.maximumKept
            else { continue }
            services.append(domain)
        }
    }

    func undeliverable(_ stanza: Stanza, _ condition: StanzaErrorCondition) {
        guard let id = stanza.id, questions[id]?.outcome == .waiting else { return }
        questions[id]?.outcome = .undeliverable(condition)
    }

    func noted(_ note: LocalNote) {
        if notes.count < DialProbe.maximumKept { notes.append(note) }
    }
}
