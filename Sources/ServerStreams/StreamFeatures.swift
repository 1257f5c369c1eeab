import XMPP

/// What the other side offers, as far as the bridge can use it (RFC 6120 §4.3.2).
struct StreamFeatures: Equatable {
    var startTLS = false
    var requiresTLS = false
    /// SASL mechanisms are offered and EXTERNAL is one of them.
    var external = false
    /// Some SASL mechanism is offered.
    var anyMechanism = false
    var dialback = false
    /// The other side answers dialback problems with errors that leave the stream alive (XEP-0220 §2.3.2).
    var dialbackErrors = false
    /// The other side acknowledges stanzas (XEP-0198).
    var management = false

    init() {}

    /// `nil` where the element is not `stream:features`.
    init?(_ element: Element) {
        guard element.name == "features", element.namespace == XMLNamespace.stream else { return nil }
        for feature in element.children {
            switch (feature.name, feature.namespace) {
            case ("starttls", XMLNamespace.tls):
                self.startTLS = true
                self.requiresTLS = feature.firstChild("required", XMLNamespace.tls) != nil
            case ("mechanisms", XMLNamespace.sasl):
                let mechanisms = feature.children.filter { $0.name == "mechanism" }
                self.anyMechanism = !mechanisms.isEmpty
                self.external = mechanisms.contains { DialbackElement.trimmed($0.text) == "EXTERNAL" }
            case ("dialback", XMLNamespace.dialbackFeature):
                self.dialback = true
                self.dialbackErrors = feature.firstChild("errors", XMLNamespace.dialbackFeature) != nil
            case ("sm", XMLNamespace.streamManagement):
                self.management = true
            default:
                break
            }
        }
    }
}
