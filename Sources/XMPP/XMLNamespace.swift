/// The namespace names that the bridge itself speaks or looks for.
package enum XMLNamespace {
    /// Content namespace of server-to-server streams (RFC 6120 §4.8.3).
    package static let server = "jabber:server"
    /// Content namespace of client streams; seen only inside forwarded stanzas.
    package static let client = "jabber:client"
    /// Content namespace of component streams (XEP-0114 §3).
    package static let component = "jabber:component:accept"
    /// The stream element and its features and errors (RFC 6120 §4.8.1).
    package static let stream = "http://etherx.jabber.org/streams"
    package static let dialback = "jabber:server:dialback"
    package static let dialbackFeature = "urn:xmpp:features:dialback"
    package static let tls = "urn:ietf:params:xml:ns:xmpp-tls"
    package static let sasl = "urn:ietf:params:xml:ns:xmpp-sasl"
    package static let streamErrors = "urn:ietf:params:xml:ns:xmpp-streams"
    package static let stanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"
    /// Bound to the prefix `xml` (Namespaces in XML 1.0 §3).
    package static let xml = "http://www.w3.org/XML/1998/namespace"
    package static let muc = "http://jabber.org/protocol/muc"
    package static let mucUser = "http://jabber.org/protocol/muc#user"
    package static let ping = "urn:xmpp:ping"
    package static let discoInfo = "http://jabber.org/protocol/disco#info"
    package static let discoItems = "http://jabber.org/protocol/disco#items"
    package static let vCard = "vcard-temp"
    package static let delay = "urn:xmpp:delay"
    /// Stream management (XEP-0198 §2).
    package static let streamManagement = "urn:xmpp:sm:3"
    package static let fmuc = "http://isode.com/protocol/fmuc"
    package static let securityLabel = "urn:xmpp:sec-label:0"
    package static let xmlSignature = "http://www.w3.org/2000/09/xmldsig#"
    package static let confidentialityLabel = "urn:nato:stanag:4774:confidentialitymetadatalabel:1:0"
    package static let metadataBinding = "urn:nato:stanag:4778:bindinginformation:1:0"
    /// Entity capabilities (XEP-0115).
    package static let caps = "http://jabber.org/protocol/caps"
    package static let headers = "http://jabber.org/protocol/shim"
}
