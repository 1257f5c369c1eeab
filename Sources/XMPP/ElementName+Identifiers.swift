/// The names of elements that hold or name the id of a message, and of those that such elements stand in.
extension ElementName {
    /// Unique and stable stanza ids (XEP-0359).
    package static let originID = named("origin-id", "urn:xmpp:sid:0")
    package static let stanzaID = named("stanza-id", "urn:xmpp:sid:0")
    package static let referencedStanza = named("referenced-stanza", "urn:xmpp:sid:0")
    package static let receiptReceived = named("received", "urn:xmpp:receipts")
    package static let markerDisplayed = named("displayed", "urn:xmpp:chat-markers:0")
    package static let markerReceived = named("received", "urn:xmpp:chat-markers:0")
    package static let markerAcknowledged = named("acknowledged", "urn:xmpp:chat-markers:0")
    package static let replace = named("replace", "urn:xmpp:message-correct:0")
    package static let reactions = named("reactions", "urn:xmpp:reactions:0")
    package static let reply = named("reply", "urn:xmpp:reply:0")
    package static let retract = named("retract", "urn:xmpp:message-retract:1")
    package static let retracted = named("retracted", "urn:xmpp:message-retract:1")
    package static let moderate = named("moderate", "urn:xmpp:message-moderate:1")
    package static let applyTo = named("apply-to", "urn:xmpp:fasten:0")
    package static let attachTo = named("attach-to", "urn:xmpp:message-attaching:1")
    package static let forwarded = named("forwarded", "urn:xmpp:forward:0")
    /// A result from an archive (XEP-0313).
    package static let archiveResult = named("result", "urn:xmpp:mam:2")
    /// What asks an archive, and what ends its answer (XEP-0313).
    package static let archiveQuery = named("query", "urn:xmpp:mam:2")
    package static let archiveFin = named("fin", "urn:xmpp:mam:2")
    /// A data form (XEP-0004).
    package static let dataForm = named("x", "jabber:x:data")
}
