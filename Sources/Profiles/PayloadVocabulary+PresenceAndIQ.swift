import XMPP

/// Payloads of presence and of IQs.
extension PayloadVocabulary {
    static let presence: [Payload] = [
        Payload(
            "show", Payload.all(XMLNamespace.server, "show"), in: .presence, .kept, "availability",
            "RFC 6121 §4.7.2.1"),
        Payload(
            "status", Payload.all(XMLNamespace.server, "status"), in: .presence, .extra, "status texts",
            "RFC 6121 §4.7.2.2"),
        Payload(
            "priority", Payload.all(XMLNamespace.server, "priority"), in: .presence, .kept, "priorities",
            "RFC 6121 §4.7.2.3"),
        Payload(
            "caps", Payload.all("http://jabber.org/protocol/caps", "c"), in: .presence, .extra,
            "capabilities of clients", "XEP-0115"),
        Payload(
            "avatars", Payload.all("vcard-temp:x:update", "x"), in: .presence, .extra, "news of pictures", "XEP-0153"),
        Payload(
            "idle", Payload.all("urn:xmpp:idle:1", "idle"), in: .presence, .extra, "idle times", "XEP-0319"),
        Payload(
            "muc", Payload.all(XMLNamespace.muc, "x"), in: .presence, .kept, "entering of rooms", "XEP-0045 §7.2"),
        Payload(
            "muc-user", Payload.all(XMLNamespace.mucUser, "x"), in: [.message, .presence], .kept, "rooms", "XEP-0045"),
        Payload(
            "fmuc", Payload.all(XMLNamespace.fmuc, "fmuc"), in: [.message, .presence], .kept, "federated rooms",
            "XEP-0289"),
    ]

    static let iq: [Payload] = [
        Payload(
            "disco-info", Payload.all(XMLNamespace.discoInfo, "query"), in: .iq, .extra, "service discovery",
            "XEP-0030"),
        Payload(
            "disco-items", Payload.all(XMLNamespace.discoItems, "query"), in: .iq, .extra,
            "lists of services and rooms", "XEP-0030"),
        Payload(
            "ping", Payload.all(XMLNamespace.ping, "ping"), in: .iq, .extra, "pings", "XEP-0199"),
        Payload(
            "vcard",
            Payload.all(XMLNamespace.vCard, "vCard") + Payload.all("urn:ietf:params:xml:ns:vcard-4.0", "vcard"),
            in: .iq, .extra, "business cards", "XEP-0054, XEP-0292"),
        Payload(
            "vcard-photo",
            Payload.all(XMLNamespace.vCard, "PHOTO", "LOGO", "SOUND")
                + Payload.all("urn:ietf:params:xml:ns:vcard-4.0", "photo", "logo", "sound"),
            in: [.iq, .nested], .extra, "pictures on business cards", "XEP-0054, XEP-0292"),
        Payload(
            "pubsub",
            Payload.all("http://jabber.org/protocol/pubsub", "pubsub")
                + Payload.all("http://jabber.org/protocol/pubsub#owner", "pubsub"),
            in: .iq, .extra, "publish-subscribe", "XEP-0060"),
        Payload(
            "last-activity", Payload.all("jabber:iq:last", "query"), in: [.iq, .presence], .extra, "idle times",
            "XEP-0012, XEP-0256"),
        Payload(
            "version", Payload.all("jabber:iq:version", "query"), in: .iq, .extra, "versions of programs", "XEP-0092"),
        Payload(
            "time", Payload.all("urn:xmpp:time", "time") + Payload.all("jabber:iq:time", "query"), in: .iq, .extra,
            "local times", "XEP-0202, XEP-0090"),
        Payload(
            "roster", Payload.all("jabber:iq:roster", "query"), in: .iq, .extra, "rosters", "RFC 6121 §2"),
        Payload(
            "private-storage", Payload.all("jabber:iq:private", "query"), in: .iq, .extra, "private storage",
            "XEP-0049"),
        Payload(
            "privacy-lists", Payload.all("jabber:iq:privacy", "query"), in: .iq, .extra, "privacy lists", "XEP-0016"),
        Payload(
            "blocking", Payload.all("urn:xmpp:blocking", "block", "unblock", "blocklist"), in: .iq, .extra,
            "block lists", "XEP-0191"),
        Payload(
            "jingle", Payload.all("urn:xmpp:jingle:1", "jingle"), in: .iq, .extra, "calls and file transfers",
            "XEP-0166"),
        Payload(
            "bytestreams",
            Payload.all("http://jabber.org/protocol/bytestreams", "query")
                + Payload.all("http://jabber.org/protocol/si", "si"),
            in: .iq, .extra, "file transfers", "XEP-0065, XEP-0095"),
        Payload(
            "oob-request", Payload.all("jabber:iq:oob", "query"), in: .iq, .extra, "links to files", "XEP-0066"),
        Payload(
            "http-upload", Payload.all("urn:xmpp:http:upload:0", "request"), in: .iq, .extra, "uploads", "XEP-0363"),
        Payload(
            "archive", Payload.all("urn:xmpp:mam:2", "query", "fin"), in: .iq, .extra, "archives", "XEP-0313"),
        Payload(
            "muc-admin", Payload.all("http://jabber.org/protocol/muc#admin", "query"), in: .iq, .extra,
            "administration of rooms", "XEP-0045 §9"),
        Payload(
            "muc-owner",
            Payload.all("http://jabber.org/protocol/muc#owner", "query")
                + Payload.all("http://jabber.org/protocol/muc#unique", "unique"),
            in: .iq, .extra, "configuration of rooms", "XEP-0045 §10"),
        Payload(
            "register", Payload.all("jabber:iq:register", "query"), in: .iq, .extra, "registration", "XEP-0077"),
        Payload(
            "search", Payload.all("jabber:iq:search", "query"), in: .iq, .extra, "directories", "XEP-0055"),
        Payload(
            "commands", Payload.all("http://jabber.org/protocol/commands", "command"), in: .iq, .extra, "commands",
            "XEP-0050"),
        Payload(
            "gateway", Payload.all("jabber:iq:gateway", "query"), in: .iq, .extra, "gateways", "XEP-0100"),
        Payload(
            "label-catalog", Payload.all("urn:xmpp:sec-label:catalog:2", "catalog"), in: .iq, .kept,
            "catalogues of security labels", "XEP-0258 §4"),
    ]
}
