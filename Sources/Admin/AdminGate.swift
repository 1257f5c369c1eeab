import Hummingbird
import Logging
import NIOConcurrencyHelpers

/// Who may ask what, by the way on which the question came.
enum AdminGate: Sendable {
    /// The socket's mode has let only the daemon's own user and root through.
    case owner
    /// A loopback address without a token: every user of the machine, so only what is open.
    case everybodyHere
    case token(AdminToken)

    /// Nil when the route may be answered.
    func refusal(_ route: AdminRoute, authorization: String?) -> Response? {
        switch self {
        case .owner: nil
        case .everybodyHere where route.access == .open: nil
        case .everybodyHere:
            Self.text(.forbidden, "this is answered on the Unix socket, or with [admin] token-file")
        case .token(let token) where token.isCarried(by: authorization): nil
        case .token:
            Self.text(.unauthorized, "a token is needed: Authorization: Bearer TOKEN", [.wwwAuthenticate: "Bearer"])
        }
    }

    private static func text(
        _ status: HTTPResponse.Status, _ sentence: String, _ headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = "text/plain; charset=utf-8"
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: sentence + "\n")))
    }
}

/// Answers the routes behind a gate.
struct AdminResponder: Sendable {
    let routes: [AdminRoute]
    let gate: AdminGate
    let logger: Logger
    /// How many questions were refused; logged at each power of two, so that nobody can fill a disk.
    private let refusals = NIOLockedValueBox<UInt64>(0)

    init(routes: [AdminRoute], gate: AdminGate, logger: Logger) {
        self.routes = routes
        self.gate = gate
        self.logger = logger
    }

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        for route in routes {
            router.on(RouterPath(route.path), method: route.method == .get ? .get : .post) { request, _ in
                await answer(route, request)
            }
        }
        return router
    }

    private func answer(_ route: AdminRoute, _ request: Request) async -> Response {
        if let refusal = gate.refusal(route, authorization: request.headers[.authorization]) {
            noteRefusal(route)
            return refusal
        }
        let parameters = request.uri.queryParameters.map { (name: String($0.key), value: String($0.value)) }
        do {
            let answer = try await route.answer(AdminRequest(path: route.path, parameters: parameters))
            return Response(
                status: .init(code: answer.status), headers: [.contentType: answer.contentType],
                body: .init(byteBuffer: ByteBuffer(bytes: answer.body)))
        } catch {
            logger.error("control request failed", metadata: ["path": "\(route.path)", "error": "\(error)"])
            return Response(status: .internalServerError)
        }
    }

    private func noteRefusal(_ route: AdminRoute) {
        let count = refusals.withLockedValue { count in
            count &+= 1
            return count
        }
        guard count & (count &- 1) == 0 else { return }
        logger.notice(
            "question to the admin address refused",
            metadata: ["path": "\(route.path)", "refused": "\(count)"])
    }
}
