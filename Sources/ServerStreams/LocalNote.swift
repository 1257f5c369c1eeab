import XMPP

/// One event of the local side in plain words. Never holds what people wrote, never a secret.
package struct LocalNote: Equatable, Sendable {
    /// What is counted.
    package enum Kind: String, CaseIterable, Sendable {
        case streamAuthorized = "stream-authorized"
        case streamClosed = "stream-closed"
        case streamErrorSent = "stream-error-sent"
        case streamErrorReceived = "stream-error-received"
        case dialFailed = "dial-failed"
        case negotiationFailed = "negotiation-failed"
        case dialbackRefused = "dialback-refused"
        case dialbackInvalid = "dialback-invalid"
        case dialbackUnsolicited = "dialback-unsolicited"
        case certificateRefused = "certificate-refused"
        case connectionRefused = "connection-refused"
        case componentShared = "component-shared"
        case stanzaRefused = "stanza-refused"
        case stanzaDiscarded = "stanza-discarded"
        case queueOverflow = "queue-overflow"
        case queueExpired = "queue-expired"
        case acknowledgementRefused = "acknowledgement-refused"
        case stanzaRepeated = "stanza-repeated"
        case stanzaInDoubt = "stanza-in-doubt"
        case stanzaPoisonous = "stanza-poisonous"
    }

    package enum Severity: UInt8, Sendable, Comparable {
        case information, warning, error

        package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
    }

    package var kind: Kind
    package var severity: Severity
    /// The connection that it happened on, if any.
    package var connection: ConnectionID?
    /// What happened, and where it helps what to do about it.
    package var text: String
    /// Counted, but not worth a line: the same was said lately, and will be said again when it has become twice as often.
    package var isRepetition = false

    package init(_ kind: Kind, _ severity: Severity, _ connection: ConnectionID?, _ text: String) {
        self.kind = kind
        self.severity = severity
        self.connection = connection
        self.text = text
    }

    /// Text from the peer, made safe for one log line: at most 200 characters, no control characters.
    static func quoted(_ text: String) -> String {
        var safe = ""
        for scalar in text.unicodeScalars.prefix(200) {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            let isSeparator = scalar.value == 0x2028 || scalar.value == 0x2029
            safe.unicodeScalars.append(isControl || isSeparator ? " " : scalar)
        }
        return safe
    }

    /// A stream error as the peer sent it, with what usually has to be done about it.
    static func describe(_ error: StreamError) -> String {
        let said = error.text.map { " (\"\(Self.quoted($0))\")" } ?? ""
        return "\(error.condition.rawValue)\(said)\(Self.advice(for: error.condition))"
    }

    /// Servers stop and clean up every day; anything else deserves attention.
    static func severity(of condition: StreamErrorCondition) -> Severity {
        condition == .systemShutdown || condition == .connectionTimeout || condition == .reset ? .information : .warning
    }

    private static func advice(for condition: StreamErrorCondition) -> String {
        switch condition {
        case .hostUnknown, .hostGone:
            ": the server does not serve that domain; compare [site] domains with the server's configuration"
        case .notAuthorized, .invalidFrom:
            ": the server does not believe the bridge's domain; check how it resolves that domain (dialback) "
                + "and that it trusts the bridge's certificate authority"
        case .policyViolation:
            ": the server's policy refuses the stream; it usually demands encryption or a valid certificate"
        case .remoteConnectionFailed:
            ": the server cannot reach the bridge; check that it resolves the domain to the bridge's listen address"
        case .conflict: ": another connection already holds that name"
        case .connectionTimeout, .reset, .systemShutdown: ": the bridge will connect again when there is traffic"
        case .resourceConstraint: ": the server is short of resources or limits its connections"
        case .badFormat, .badNamespacePrefix, .improperAddressing, .internalServerError, .invalidNamespace,
            .invalidXML, .notWellFormed, .restrictedXML, .seeOtherHost, .undefinedCondition,
            .unsupportedEncoding, .unsupportedFeature, .unsupportedStanzaType, .unsupportedVersion:
            ""
        }
    }
}
