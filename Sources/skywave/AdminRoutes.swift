import Admin
import Bridge
import Logging

/// What the control endpoint answers. A site that is not up yet is a temporary failure.
enum AdminRoutes {
    /// - Parameters:
    ///   - file: the configuration that a reload reads.
    static func all(_ running: RunningSiteBox, file: String, logger: Logger) -> [AdminRoute] {
        [
            AdminRoute(.post, path: "/reload") { _ in
                try await answer(running) { site in
                    let outcome = await site.reload(file, logger: logger)
                    return .text(outcome.text + "\n", status: outcome.isDone ? 200 : 409)
                }
            },
            AdminRoute(path: "/healthz", access: .open) { _ in await health(running) },
            AdminRoute(path: "/metrics", access: .open) { _ in
                try await answer(running) { site in
                    let text = try await site.status().metrics
                    let contentType = "text/plain; version=0.0.4; charset=utf-8"
                    return AdminAnswer(contentType: contentType, body: Array(text.utf8))
                }
            },
            AdminRoute(path: "/status") { _ in
                try await answer(running) { site in .json(try await site.status().json.text + "\n") }
            },
            AdminRoute(path: "/status.txt") { _ in
                try await answer(running) { site in .text(try await site.status().text) }
            },
            queueRoute(running, "/queue") { .json($0.json.text + "\n") },
            queueRoute(running, "/queue.txt") { .text($0.text) },
            stanzaRoute(running, "/queue/stanza") { .json($0.json(withBody: $1).text + "\n") },
            stanzaRoute(running, "/queue/stanza.txt") { .text($0.text(withBody: $1)) },
            setAsideRoute(running, "/queue/aside") { .json($0.json.text + "\n") },
            setAsideRoute(running, "/queue/aside.txt") { .text($0.text) },
            oneSetAsideRoute(running, "/queue/aside/stanza") { .json($0.json(withBody: $1).text + "\n") },
            oneSetAsideRoute(running, "/queue/aside/stanza.txt") { .text($0.text(withBody: $1)) },
            AdminRoute(.post, path: "/queue/drop-aside") { request in
                try await answer(running) { site in
                    guard let (peer, id) = name(request) else { return wrongUse }
                    let outcome = try await site.dropSetAside(peer: peer, id: id)
                    return .text(outcome.sentence + "\n", status: outcome.status)
                }
            },
            AdminRoute(.post, path: "/queue/cancel") { request in
                try await answer(running) { site in
                    guard let (peer, id) = name(request) else { return wrongUse }
                    let outcome = try await site.cancel(peer: peer, id: id)
                    return .text(outcome.sentence + "\n", status: outcome.status)
                }
            },
        ]
    }

    private static let wrongUse = AdminAnswer.text("Give peer=NAME and id=NUMBER.\n", status: 400)

    private static func answer(
        _ running: RunningSiteBox, _ body: (RunningSite) async throws -> AdminAnswer
    ) async throws -> AdminAnswer {
        guard let site = running.site else { return .text("The bridge is still starting.\n", status: 503) }
        return try await body(site)
    }

    private static func health(_ running: RunningSiteBox) async -> AdminAnswer {
        guard let site = running.site, let status = try? await site.status() else {
            return .text("The bridge is still starting.\n", status: 503)
        }
        guard let problem = status.healthProblem else { return .text("ok\n") }
        return .text(problem + "\n", status: 503)
    }

    private static func name(_ request: AdminRequest) -> (peer: String, id: UInt64)? {
        guard let peer = request["peer"], let id = request["id"].flatMap({ UInt64($0) }) else { return nil }
        return (peer, id)
    }

    private static func queueRoute(
        _ running: RunningSiteBox, _ path: String, _ form: @escaping @Sendable (QueueReport) -> AdminAnswer
    ) -> AdminRoute {
        AdminRoute(path: path) { request in
            try await answer(running) { site in
                let limit = request["limit"].flatMap { Int($0) } ?? QueueReport.standardLimit
                let bounded = min(max(limit, 1), QueueReport.maximumLimit)
                let report = try await site.queue(peer: request["peer"], limit: bounded)
                if request["peer"] != nil, report.peers.isEmpty {
                    return noSuchPeer
                }
                return form(report)
            }
        }
    }

    private static let noSuchPeer = AdminAnswer.text("There is no such peer; skywave status lists them.\n", status: 404)

    private static func setAsideRoute(
        _ running: RunningSiteBox, _ path: String, _ form: @escaping @Sendable (SetAsideList) -> AdminAnswer
    ) -> AdminRoute {
        AdminRoute(path: path) { request in
            try await answer(running) { site in
                let list = try await site.setAside(peer: request["peer"])
                return request["peer"] != nil && list.peers.isEmpty ? noSuchPeer : form(list)
            }
        }
    }

    private static func oneSetAsideRoute(
        _ running: RunningSiteBox, _ path: String, _ form: @escaping @Sendable (SetAsideReport, Bool) -> AdminAnswer
    ) -> AdminRoute {
        AdminRoute(path: path) { request in
            try await answer(running) { site in
                guard let (peer, id) = name(request) else { return wrongUse }
                guard let report = try await site.setAside(peer: peer, id: id) else {
                    return .text("Nothing with this id is set aside; skywave queue aside lists what is.\n", status: 404)
                }
                return form(report, request["body"] == "1")
            }
        }
    }

    private static func stanzaRoute(
        _ running: RunningSiteBox, _ path: String, _ form: @escaping @Sendable (StanzaReport, Bool) -> AdminAnswer
    ) -> AdminRoute {
        AdminRoute(path: path) { request in
            try await answer(running) { site in
                guard let (peer, id) = name(request) else { return wrongUse }
                guard let report = try await site.queuedStanza(peer: peer, id: id) else {
                    return .text("No such stanza waits; it was delivered, has expired, or the id is wrong.\n", status: 404)
                }
                return form(report, request["body"] == "1")
            }
        }
    }
}
