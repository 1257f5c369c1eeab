/// A question to the control endpoint.
package struct AdminRequest: Sendable {
    package var path: String
    /// In the order in which they were given.
    package var parameters: [(name: String, value: String)]

    package init(path: String, parameters: [(name: String, value: String)] = []) {
        self.path = path
        self.parameters = parameters
    }

    /// The first value of a parameter.
    package subscript(_ name: String) -> String? { parameters.first { $0.name == name }?.value }
}

/// What is answered to it.
package struct AdminAnswer: Equatable, Sendable {
    /// HTTP status code.
    package var status: Int
    package var contentType: String
    package var body: [UInt8]

    package init(status: Int = 200, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    package static func text(_ text: String, status: Int = 200) -> AdminAnswer {
        AdminAnswer(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    package static func json(_ text: String, status: Int = 200) -> AdminAnswer {
        AdminAnswer(status: status, contentType: "application/json", body: Array(text.utf8))
    }
}

/// One thing that can be asked of the control endpoint.
package struct AdminRoute: Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        /// Changes something.
        case post = "POST"
    }

    package enum Access: Equatable, Sendable {
        /// Holds numbers and names from the configuration only: also answered to whoever reaches a loopback address.
        case open
        /// Names users or changes something: for the daemon's own user, or with the token.
        case restricted
    }

    package var method: Method
    /// Absolute path, for example `/status`.
    package var path: String
    package var access: Access
    /// Makes the answer; an error thrown here is logged and answered with 500 without its details.
    package var answer: @Sendable (AdminRequest) async throws -> AdminAnswer

    package init(
        _ method: Method = .get, path: String, access: Access = .restricted,
        answer: @escaping @Sendable (AdminRequest) async throws -> AdminAnswer
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.answer = answer
    }

    /// A route that is the same for every question.
    package init(
        path: String, contentType: String = "application/json", body: @escaping @Sendable () async throws -> [UInt8]
    ) {
        self.init(path: path) { _ in AdminAnswer(contentType: contentType, body: try await body()) }
    }

    /// `GET /status`: the state of the site as JSON.
    package static func status(_ body: @escaping @Sendable () async throws -> [UInt8]) -> AdminRoute {
        AdminRoute(path: "/status", body: body)
    }
}
