import BridgeCore
package import NIOCore
import ServerStreams
import Transports
import XMPP

/// What is wrong and what to do about it: one plain sentence each, what matters most first.
extension SiteStatus {
    /// Why the bridge cannot do its service; nil while it can. `GET /healthz`.
    package var healthProblem: String? {
        if isStopping { return "The bridge is stopping." }
        if let closed = closedListeners.first {
            return "Nothing listens at \(closed) any more, so nobody can reach the bridge there; restart the bridge."
        }
        return stall
    }

    private var stall: String? {
        guard let since = journal.stalledSince else { return nil }
        let reason = journalFailure.map { " (\($0))" } ?? ""
        return "The journal has taken nothing new for \(SiteStatus.span(takenAt - since))\(reason), and stanzas of the "
            + "server are refused; make room on the disk of \(stateDirectory) or mend it, and the service goes on by itself."
    }

    /// Of the site as a whole.
    package var problems: [String] {
        var problems = [healthProblem].compactMap(\.self)
        for queue in local.queues {
            guard let error = queue.lastError else { continue }
            let text = error.last == "." ? error : error + "."
            problems.append(
                "\(queue.remote) to \(queue.local?.string ?? "the server"): \(text) If it lasts, run skywave check --dial.")
        }
        return problems + local.recentProblems.suffix(5).map { "Lately: " + $0.text }
    }
}

extension SiteStatus.Peer {
    package func problems(now: NIODeadline) -> [String] {
        var problems: [String] = []
        if link.state != .connected, let error = link.lastError { problems.append(error) }
        if let failure = core.lastFailure {
            let text = failure.prefix(1).uppercased() + failure.dropFirst()
            problems.append(text.last == "." ? text : text + ".")
        }
        if core.isLinkHeld {
            problems.append(
                "What the peer sent fills the inbox and the link is not read; see why the local server takes nothing.")
        }
        if let newest = core.poison.last {
            problems.append(
                "Set aside because it could not be read: \(SiteStatus.stanzas(core.poison.count)) from the peer, the newest "
                    + "with \(newest.bytes) bytes (\(newest.reason)); skywave queue aside --peer \(name) shows it; compare the versions at both ends and "
                    + "report it.")
        }
        if link.state == .connected, let error = link.lastError { problems.append("Before this connection: " + error) }
        return problems
    }
}
