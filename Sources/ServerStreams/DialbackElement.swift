import XMPP

/// What somebody says about a dialback key (XEP-0220 §2.4 for the errors).
package enum DialbackAnswer: Equatable, Sendable {
    case valid
    case invalid
    case error(DialbackError)
}

/// Why a key could not be judged; the raw value is the element's name (XEP-0220 §2.4). Not all of these are stanza errors
/// of RFC 6120.
package enum DialbackError: String, CaseIterable, Sendable {
    /// The domain in `to` is not served here.
    case itemNotFound = "item-not-found"
    /// The authoritative server could not be reached.
    case remoteConnectionFailed = "remote-connection-failed"
    /// There is no authoritative server for the domain.
    case remoteServerNotFound = "remote-server-not-found"
    /// The authoritative server did not answer.
    case remoteServerTimeout = "remote-server-timeout"
    /// TLS is demanded before dialback.
    case policyViolation = "policy-violation"
    /// A certificate is demanded instead of a key.
    case notAuthorized = "not-authorized"
    /// The key is not the domain's, and other domains go on using the stream.
    case forbidden
    /// The claimed domain cannot be established.
    case notAcceptable = "not-acceptable"
    /// There is no room for another pair on this stream.
    case resourceConstraint = "resource-constraint"
    /// Anything else that a peer says.
    case undefinedCondition = "undefined-condition"

    /// The type attribute that goes with it: `wait` where another try may help.
    var type: StanzaErrorType {
        switch self {
        case .remoteConnectionFailed, .remoteServerTimeout, .resourceConstraint: .wait
        case .itemNotFound, .remoteServerNotFound, .policyViolation, .notAuthorized, .forbidden, .notAcceptable,
            .undefinedCondition:
            .cancel
        }
    }
}

/// A question to the authoritative server: does this key come from you?
package struct DialbackVerification: Equatable, Sendable {
    /// The pair that the server wants to speak for.
    package var pair: DomainPair
    /// The id that the bridge gave to the stream on which the key came.
    package var streamID: String
    package var key: String
    /// The stream that waits for the answer.
    package var connection: ConnectionID
    /// It was asked before, on a stream that ended without an answer.
    package var isRepeated = false
}

/// A `db:result` or `db:verify` as received.
struct DialbackElement: Equatable {
    enum Name: Equatable {
        case result, verify
    }

    var name: Name
    var from: Domain?
    var to: Domain?
    var id: String?
    var type: String?
    /// The key, without white space around it.
    var key: String
    /// The condition where the type is `error`; `undefined-condition` where none is named.
    var condition: DialbackError

    /// `nil` where the element is not one of dialback's.
    init?(_ element: Element) {
        guard element.namespace == XMLNamespace.dialback else { return nil }
        switch element.name {
        case "result": self.name = .result
        case "verify": self.name = .verify
        default: return nil
        }
        self.from = element.attribute("from").flatMap { Domain($0) }
        self.to = element.attribute("to").flatMap { Domain($0) }
        self.id = element.attribute("id")
        self.type = element.attribute("type")
        self.key = Self.trimmed(element.text)
        self.condition = .undefinedCondition
        for error in element.children where error.name == "error" {
            for condition in error.children where condition.namespace == XMLNamespace.stanzaErrors {
                if let known = DialbackError(rawValue: condition.name) { self.condition = known }
            }
        }
    }

    /// The answer that the element carries; `nil` where it is a request or says something unknown.
    var answer: DialbackAnswer? {
        switch self.type {
        case "valid": .valid
        case "invalid": .invalid
        case "error": .error(self.condition)
        default: nil
        }
    }

    static func trimmed(_ text: String) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\n" || $0 == "\t" || $0 == "\r" || $0 == "\r\n" }
        var rest = text[...]
        while let first = rest.first, isSpace(first) { rest.removeFirst() }
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return String(rest)
    }
}
