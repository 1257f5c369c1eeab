/// The conditions of a stream error; the raw value is the element's name (RFC 6120 §4.9.3).
package enum StreamErrorCondition: String, CaseIterable, Sendable {
    case badFormat = "bad-format"
    case badNamespacePrefix = "bad-namespace-prefix"
    case conflict
    case connectionTimeout = "connection-timeout"
    case hostGone = "host-gone"
    case hostUnknown = "host-unknown"
    case improperAddressing = "improper-addressing"
    case internalServerError = "internal-server-error"
    case invalidFrom = "invalid-from"
    case invalidNamespace = "invalid-namespace"
    case invalidXML = "invalid-xml"
    case notAuthorized = "not-authorized"
    case notWellFormed = "not-well-formed"
    case policyViolation = "policy-violation"
    case remoteConnectionFailed = "remote-connection-failed"
    case reset
    case resourceConstraint = "resource-constraint"
    case restrictedXML = "restricted-xml"
    case seeOtherHost = "see-other-host"
    case systemShutdown = "system-shutdown"
    case undefinedCondition = "undefined-condition"
    case unsupportedEncoding = "unsupported-encoding"
    case unsupportedFeature = "unsupported-feature"
    case unsupportedStanzaType = "unsupported-stanza-type"
    case unsupportedVersion = "unsupported-version"
}

/// A stream error to send, or one that was received. After it the stream is over (RFC 6120 §4.9.1.1).
package struct StreamError: Error, Equatable, Sendable {
    package var condition: StreamErrorCondition
    /// What a person should know; never content of a stanza.
    package var text: String?
    /// The application's own condition as XML (RFC 6120 §4.9.4), written as it stands; not kept of a received error.
    package var detail: String?

    package init(_ condition: StreamErrorCondition, text: String? = nil, detail: String? = nil) {
        self.condition = condition
        self.text = text
        self.detail = detail
    }

    /// The element as it goes on the wire.
    package func element() -> String {
        var xml = "<stream:error><\(self.condition.rawValue) xmlns='\(XMLNamespace.streamErrors)'/>"
        if let text {
            xml += "<text xmlns='\(XMLNamespace.streamErrors)' xml:lang='en'>\(XMLEscape.text(text))</text>"
        }
        return xml + (self.detail ?? "") + "</stream:error>"
    }

    /// Reads a received `stream:error` element; `nil` where the element is something else.
    package init?(_ element: Element) {
        guard element.name == "error", element.namespace == XMLNamespace.stream else { return nil }
        let children = element.children.filter { $0.namespace == XMLNamespace.streamErrors }
        self.condition =
            children.lazy.compactMap { StreamErrorCondition(rawValue: $0.name) }.first ?? .undefinedCondition
        self.text = children.first { $0.name == "text" }?.text
    }
}
