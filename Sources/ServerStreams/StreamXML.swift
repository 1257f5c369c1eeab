import XMPP

/// Stream-level XML as the bridge writes it. Every value is escaped here and nowhere else.
enum StreamXML {
    // MARK: STARTTLS (RFC 6120 §5.4)

    static let startTLS = "<starttls xmlns='\(XMLNamespace.tls)'/>"
    static let proceed = "<proceed xmlns='\(XMLNamespace.tls)'/>"
    static let tlsFailure = "<failure xmlns='\(XMLNamespace.tls)'/>"

    // MARK: SASL (RFC 6120 §6.4, XEP-0178 §3)

    /// The identity is given although the header says it too, for receivers that rely on it.
    static func authExternal(as domain: Domain) -> String {
        "<auth xmlns='\(XMLNamespace.sasl)' mechanism='EXTERNAL'>\(Base64.encode(domain.string))</auth>"
    }

    static let saslSuccess = "<success xmlns='\(XMLNamespace.sasl)'/>"

    static func saslFailure(_ condition: SASLFailure) -> String {
        "<failure xmlns='\(XMLNamespace.sasl)'><\(condition.rawValue)/></failure>"
    }

    // MARK: Features (RFC 6120 §4.3.2)

    /// What a receiving server offers.
    struct Offer: Equatable {
        var startTLS = false
        var requiresTLS = false
        var external = false
        var dialback = false
        var management = false
    }

    static func features(_ offer: Offer) -> String {
        var xml = "<stream:features>"
        if offer.startTLS {
            xml += offer.requiresTLS ? "<starttls xmlns='\(XMLNamespace.tls)'><required/></starttls>" : Self.startTLS
        }
        if offer.external {
            xml += "<mechanisms xmlns='\(XMLNamespace.sasl)'><mechanism>EXTERNAL</mechanism></mechanisms>"
        }
        if offer.dialback {
            xml += "<dialback xmlns='\(XMLNamespace.dialbackFeature)'><errors/></dialback>"
        }
        if offer.management { xml += "<sm xmlns='\(XMLNamespace.streamManagement)'/>" }
        return xml + "</stream:features>"
    }

    // MARK: Dialback (XEP-0220)

    /// Step 1: the key that claims a domain.
    static func dialbackKey(from: Domain, to: Domain, key: String) -> String {
        "<db:result from='\(Self.escaped(from))' to='\(Self.escaped(to))'>\(XMLEscape.text(key))</db:result>"
    }

    /// Step 2: the question to the authoritative server.
    static func dialbackQuestion(from: Domain, to: Domain, id: String, key: String) -> String {
        "<db:verify from='\(Self.escaped(from))' id='\(XMLEscape.attribute(id))' to='\(Self.escaped(to))'>"
            + "\(XMLEscape.text(key))</db:verify>"
    }

    /// Step 3: the authoritative server's answer.
    static func dialbackAnswer(from: Domain, to: Domain, id: String, _ answer: DialbackAnswer) -> String {
        let attributes = "from='\(Self.escaped(from))' id='\(XMLEscape.attribute(id))' to='\(Self.escaped(to))'"
        return "<db:verify \(attributes) \(Self.ending(answer, of: "db:verify"))"
    }

    /// Step 4: the receiving server's answer.
    static func dialbackResult(from: Domain, to: Domain, _ answer: DialbackAnswer) -> String {
        let attributes = "from='\(Self.escaped(from))' to='\(Self.escaped(to))'"
        return "<db:result \(attributes) \(Self.ending(answer, of: "db:result"))"
    }

    private static func ending(_ answer: DialbackAnswer, of name: String) -> String {
        switch answer {
        case .valid: "type='valid'/>"
        case .invalid: "type='invalid'/>"
        case .error(let condition):
            "type='error'><error type='\(condition.type.rawValue)'>"
                + "<\(condition.rawValue) xmlns='\(XMLNamespace.stanzaErrors)'/></error></\(name)>"
        }
    }

    // MARK: Stream management (XEP-0198)

    static let enable = "<enable xmlns='\(XMLNamespace.streamManagement)'/>"
    /// No id and no `resume`: see ``InboundLedger``.
    static let enabled = "<enabled xmlns='\(XMLNamespace.streamManagement)'/>"
    static let acknowledgementRequest = "<r xmlns='\(XMLNamespace.streamManagement)'/>"

    static func acknowledgement(_ h: UInt32) -> String {
        "<a xmlns='\(XMLNamespace.streamManagement)' h='\(h)'/>"
    }

    static func managementFailure(_ condition: StanzaErrorCondition) -> String {
        "<failed xmlns='\(XMLNamespace.streamManagement)'>"
            + "<\(condition.rawValue) xmlns='\(XMLNamespace.stanzaErrors)'/></failed>"
    }

    /// Ends the stream of somebody who acknowledges more than was sent (XEP-0198 §4).
    static func countTooHigh(_ h: UInt32, sent: UInt32) -> StreamError {
        StreamError(
            .undefinedCondition, text: "\(h) stanzas were acknowledged, \(sent) were sent",
            detail: "<handled-count-too-high xmlns='\(XMLNamespace.streamManagement)' h='\(h)' send-count='\(sent)'/>")
    }

    /// The count of an acknowledgement; `nil` where it is missing or no unsigned 32-bit number.
    static func count(of acknowledgement: Element) -> UInt32? {
        acknowledgement.attribute("h").flatMap { text in
            text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt32(text) : nil
        }
    }

    // MARK: Component (XEP-0114 §3)

    static func handshake(_ value: String) -> String {
        "<handshake>\(XMLEscape.text(value))</handshake>"
    }

    private static func escaped(_ domain: Domain) -> String {
        XMLEscape.attribute(domain.string)
    }
}

/// The SASL failures that a receiving server uses (RFC 6120 §6.5).
enum SASLFailure: String, CaseIterable {
    case aborted
    case encryptionRequired = "encryption-required"
    case incorrectEncoding = "incorrect-encoding"
    case invalidAuthzid = "invalid-authzid"
    case invalidMechanism = "invalid-mechanism"
    case malformedRequest = "malformed-request"
    case notAuthorized = "not-authorized"
}
