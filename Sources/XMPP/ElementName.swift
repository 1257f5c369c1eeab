/// The interned name of an element: namespace and local name as one small number.
///
/// The vocabulary is fixed, so no peer can make it grow; every name outside it has the code ``unknown`` and is told by
/// its bytes.
package struct ElementName: Hashable, Sendable {
    package let code: UInt16

    /// Any name that the vocabulary does not hold.
    package static let unknown = ElementName(code: 0)

    package static let body = ElementName(known: 1)
    package static let subject = ElementName(known: 2)
    package static let thread = ElementName(known: 3)
    package static let error = ElementName(known: 4)
    package static let show = ElementName(known: 5)
    package static let status = ElementName(known: 6)
    package static let priority = ElementName(known: 7)
    package static let muc = ElementName(known: 8)
    package static let mucUser = ElementName(known: 9)
    package static let fmuc = ElementName(known: 10)
    package static let delay = ElementName(known: 11)
    package static let ping = ElementName(known: 12)
    package static let securityLabel = ElementName(known: 13)
    package static let xmlSignature = ElementName(known: 14)
    package static let confidentialityLabel = ElementName(known: 15)
    package static let metadataBinding = ElementName(known: 16)
    package static let headers = ElementName(known: 17)
    package static let caps = ElementName(known: 18)

    private init(code: UInt16) { self.code = code }
    private init(known code: UInt16) { self.code = code }

    /// Namespace and local name by code, from 1 on.
    package static let vocabulary: [(namespace: String, local: String)] = [
        (XMLNamespace.server, "body"), (XMLNamespace.server, "subject"), (XMLNamespace.server, "thread"),
        (XMLNamespace.server, "error"), (XMLNamespace.server, "show"), (XMLNamespace.server, "status"),
        (XMLNamespace.server, "priority"), (XMLNamespace.muc, "x"), (XMLNamespace.mucUser, "x"),
        (XMLNamespace.fmuc, "fmuc"), (XMLNamespace.delay, "delay"), (XMLNamespace.ping, "ping"),
        (XMLNamespace.securityLabel, "securitylabel"), (XMLNamespace.xmlSignature, "Signature"),
        (XMLNamespace.confidentialityLabel, "originatorConfidentialityLabel"),
        (XMLNamespace.metadataBinding, "BindingInformation"), (XMLNamespace.headers, "headers"),
        (XMLNamespace.caps, "c"),
    ] + payloadVocabulary

    /// Looks a name up in the vocabulary.
    package static func named(_ local: String, _ namespace: String) -> ElementName {
        for (index, entry) in self.vocabulary.enumerated() where entry.local == local {
            if entry.namespace == namespace { return ElementName(code: UInt16(index + 1)) }
        }
        return .unknown
    }

    /// How many codes there are, ``unknown`` included; every code is below.
    package static let codeCount = vocabulary.count + 1

    init(rawCode: UInt16) { self.code = rawCode }
}
