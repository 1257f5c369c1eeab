import XMPP

/// Chat metadata and contents of messages, security labels.
extension PayloadVocabulary {
    static let messages: [Payload] = [
        Payload("body", Payload.all(XMLNamespace.server, "body"), in: .message, .kept, "text", "RFC 6121 §5.2.3"),
        Payload(
            "subject", Payload.all(XMLNamespace.server, "subject"), in: .message, .kept, "subjects", "RFC 6121 §5.2.4"),
        Payload(
            "thread", Payload.all(XMLNamespace.server, "thread"), in: .message, .companion, "thread ids",
            "RFC 6121 §5.2.5"),
        Payload(
            "error", Payload.all(XMLNamespace.server, "error"), in: [.message, .presence, .iq], .kept, "errors",
            "RFC 6120 §8.3"),
        Payload(
            "chat-states",
            Payload.all("http://jabber.org/protocol/chatstates", "active", "composing", "paused", "inactive", "gone"),
            in: .message, .metadata, "“is typing” notices", "XEP-0085"),
        Payload(
            "receipt-requests", Payload.all("urn:xmpp:receipts", "request"), in: .message, .companion,
            "requests for delivery receipts", "XEP-0184"),
        Payload(
            "receipts", Payload.all("urn:xmpp:receipts", "received"), in: .message, .metadata, "delivery receipts",
            "XEP-0184"),
        Payload(
            "marker-requests", Payload.all("urn:xmpp:chat-markers:0", "markable"), in: .message, .companion,
            "requests for read marks", "XEP-0333"),
        Payload(
            "markers", Payload.all("urn:xmpp:chat-markers:0", "received", "displayed", "acknowledged"), in: .message,
            .metadata, "read marks", "XEP-0333"),
        Payload(
            "xhtml", Payload.all("http://jabber.org/protocol/xhtml-im", "html"), in: .message, .extra,
            "formatted text", "XEP-0071"),
        Payload(
            "hints", Payload.all("urn:xmpp:hints", "store", "no-store", "no-permanent-store", "no-copy"), in: .message,
            .companion, "hints for archives", "XEP-0334"),
        Payload(
            "stanza-id", Payload.all("urn:xmpp:sid:0", "stanza-id"), in: .message, .companion, "ids of archives",
            "XEP-0359"),
        Payload(
            "origin-id", Payload.all("urn:xmpp:sid:0", "origin-id"), in: .message, .companion, "ids of senders",
            "XEP-0359"),
        Payload(
            "referenced-stanza", Payload.all("urn:xmpp:sid:0", "referenced-stanza"), in: .message, .companion,
            "ids of other messages", "XEP-0359"),
        Payload(
            "correction", Payload.all("urn:xmpp:message-correct:0", "replace"), in: .message, .meaning,
            "corrections of earlier messages", "XEP-0308"),
        Payload(
            "attention", Payload.all("urn:xmpp:attention:0", "attention"), in: .message, .extra, "attention requests",
            "XEP-0224"),
        Payload(
            "carbons",
            Payload.all("urn:xmpp:carbons:2", "private", "sent", "received", "enable", "disable"),
            in: [.message, .iq], .companion, "message carbons", "XEP-0280"),
        Payload(
            "forwarded", Payload.all("urn:xmpp:forward:0", "forwarded"), in: .message, .meaning, "forwarded messages",
            "XEP-0297"),
        Payload(
            "delay", Payload.all(XMLNamespace.delay, "delay"), in: [.message, .presence], .kept, "delay stamps",
            "XEP-0203"),
        Payload(
            "legacy-delay", Payload.all("jabber:x:delay", "x"), in: [.message, .presence], .companion,
            "delay stamps of the old form", "XEP-0091"),
        Payload(
            "reactions", Payload.all("urn:xmpp:reactions:0", "reactions"), in: .message, .meaning, "reactions",
            "XEP-0444"),
        Payload("reply", Payload.all("urn:xmpp:reply:0", "reply"), in: .message, .meaning, "replies", "XEP-0461"),
        Payload(
            "fallback", Payload.all("urn:xmpp:fallback:0", "fallback"), in: .message, .kept,
            "marks of fallback text", "XEP-0428"),
        Payload(
            "retraction", Payload.all("urn:xmpp:message-retract:1", "retract", "retracted"), in: .message, .meaning,
            "retractions", "XEP-0424"),
        Payload(
            "moderation", Payload.all("urn:xmpp:message-moderate:1", "moderate", "moderated"), in: [.message, .iq],
            .meaning, "moderation of rooms", "XEP-0425"),
        Payload(
            "references", Payload.all("urn:xmpp:reference:0", "reference"), in: .message, .extra, "mentions",
            "XEP-0372"),
        Payload(
            "fasten", Payload.all("urn:xmpp:fasten:0", "apply-to"), in: .message, .meaning,
            "additions to earlier messages", "XEP-0422"),
        Payload(
            "attaching", Payload.all("urn:xmpp:message-attaching:1", "attach-to"), in: .message, .meaning,
            "attachments to earlier messages", "XEP-0367"),
        Payload(
            "oob", Payload.all("jabber:x:oob", "x"), in: .message, .meaning, "links to files", "XEP-0066"),
        Payload(
            "files", Payload.all("urn:xmpp:sfs:0", "file-sharing", "sources"), in: .message, .meaning, "shared files",
            "XEP-0447"),
        Payload(
            "file-metadata", Payload.all("urn:xmpp:file:metadata:0", "file"), in: .message, .meaning,
            "descriptions of files", "XEP-0446"),
        Payload(
            "thumbnails", Payload.all("urn:xmpp:thumbs:1", "thumbnail"), in: [.message, .nested], .extra,
            "small pictures of files", "XEP-0264"),
        Payload(
            "stickers", Payload.all("urn:xmpp:stickers:0", "sticker"), in: .message, .meaning, "stickers", "XEP-0449"),
        Payload(
            "bits-of-binary", Payload.all("urn:xmpp:bob", "data"), in: [.message, .presence, .iq], .extra,
            "small pictures in the text", "XEP-0231"),
        Payload(
            "occupant-id", Payload.all("urn:xmpp:occupant-id:0", "occupant-id"), in: [.message, .presence], .companion,
            "ids of occupants", "XEP-0421"),
        Payload(
            "hats", Payload.all("urn:xmpp:hats:0", "hats"), in: [.message, .presence], .companion, "hats of occupants",
            "XEP-0317"),
        Payload(
            "nick", Payload.all("http://jabber.org/protocol/nick", "nick"), in: [.message, .presence], .companion,
            "nicknames", "XEP-0172"),
        Payload(
            "headers", Payload.all(XMLNamespace.headers, "headers"), in: [.message, .iq], .kept,
            "headers such as the urgency", "XEP-0131"),
        Payload(
            "addresses", Payload.all("http://jabber.org/protocol/address", "addresses"), in: [.message, .presence],
            .kept, "lists of addresses", "XEP-0033"),
        Payload(
            "encryption-mark", Payload.all("urn:xmpp:eme:0", "encryption"), in: .message, .meaning,
            "encrypted messages", "XEP-0380"),
        Payload(
            "omemo",
            Payload.all("urn:xmpp:omemo:2", "encrypted") + Payload.all("eu.siacs.conversations.axolotl", "encrypted"),
            in: .message, .meaning, "messages encrypted with OMEMO", "XEP-0384"),
        Payload(
            "openpgp",
            Payload.all("urn:xmpp:openpgp:0", "openpgp") + Payload.all("jabber:x:encrypted", "x"), in: .message,
            .meaning, "messages encrypted with OpenPGP", "XEP-0373, XEP-0027"),
        Payload(
            "openpgp-signature", Payload.all("jabber:x:signed", "x"), in: [.message, .presence], .meaning,
            presence: .extra, "OpenPGP signatures", "XEP-0027"),
        Payload(
            "encrypted", Payload.all("urn:xmpp:encrypted:0", "encrypted"), in: .message, .meaning,
            "encrypted messages", "XEP-0384 (early)"),
        Payload(
            "message-events", Payload.all("jabber:x:event", "x"), in: .message, .metadata, "message events",
            "XEP-0022"),
        Payload(
            "unstyled", Payload.all("urn:xmpp:styling:0", "unstyled"), in: .message, .companion,
            "marks of unstyled text", "XEP-0393"),
        Payload("markup", Payload.all("urn:xmpp:markup:0", "markup"), in: .message, .extra, "markup", "XEP-0394"),
        Payload(
            "spoiler", Payload.all("urn:xmpp:spoiler:0", "spoiler"), in: .message, .meaning, "spoilers", "XEP-0382"),
        Payload(
            "captcha", Payload.all("urn:xmpp:captcha", "captcha"), in: [.message, .iq], .kept, "challenges",
            "XEP-0158"),
        Payload(
            "invitations", Payload.all("jabber:x:conference", "x"), in: .message, .kept, "invitations to rooms",
            "XEP-0249"),
        Payload(
            "data-forms", Payload.all("jabber:x:data", "x"), in: [.message, .iq], .meaning, "forms", "XEP-0004"),
        Payload(
            "jingle-message",
            Payload.all(
                "urn:xmpp:jingle-message:0", "propose", "ringing", "proceed", "accept", "reject", "retract", "finish")
                + Payload.all("urn:xmpp:call-invites:0", "invite", "retract", "accept", "reject", "left"),
            in: .message, .meaning, "calls", "XEP-0353, XEP-0482"),
        Payload(
            "archive-results", Payload.all("urn:xmpp:mam:2", "result"), in: .message, .meaning, "pages of archives",
            "XEP-0313"),
        Payload(
            "security-labels",
            Payload.all(XMLNamespace.securityLabel, "securitylabel")
                + Payload.all("urn:xmpp:sec-label:ess:0", "esssecuritylabel")
                + Payload.all(XMLNamespace.confidentialityLabel, "originatorConfidentialityLabel")
                + Payload.all(XMLNamespace.metadataBinding, "BindingInformation"),
            in: [.message, .presence, .iq], .kept, "security labels", "XEP-0258, STANAG 4774, STANAG 4778"),
        Payload(
            "signatures", Payload.all(XMLNamespace.xmlSignature, "Signature"), in: [.message, .presence, .iq], .kept,
            "signatures", "XML Signature"),
        Payload(
            "ibb", Payload.all("http://jabber.org/protocol/ibb", "open", "data", "close"), in: [.message, .iq],
            .meaning, "file transfers within the stream", "XEP-0047"),
    ]

    /// Events of personal eventing (XEP-0163): `event` elements told apart by the node of their items.
    static let events: [Payload] = [
        Payload(
            "mood", nodes: ["http://jabber.org/protocol/mood"], in: .message, .metadata, "moods", "XEP-0107"),
        Payload(
            "tune", nodes: ["http://jabber.org/protocol/tune"], in: .message, .metadata, "tunes", "XEP-0118"),
        Payload(
            "activity", nodes: ["http://jabber.org/protocol/activity"], in: .message, .metadata, "activities",
            "XEP-0108"),
        Payload(
            "geoloc", nodes: ["http://jabber.org/protocol/geoloc"], in: .message, .metadata, "positions", "XEP-0080"),
        Payload(
            "avatar-events", nodes: ["urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data"], in: .message, .metadata,
            "pictures of people", "XEP-0084"),
        Payload(
            "nick-events", nodes: ["http://jabber.org/protocol/nick"], in: .message, .metadata,
            "news of nicknames", "XEP-0172"),
        Payload(
            "bookmark-events", nodes: ["storage:bookmarks", "urn:xmpp:bookmarks:1"], in: .message, .metadata,
            "bookmarks", "XEP-0048, XEP-0402"),
        Payload(
            "displayed-events", nodes: ["urn:xmpp:mds:displayed:0"], in: .message, .metadata,
            "read marks of one's own devices", "XEP-0490"),
        Payload(
            "key-events",
            nodes: [
                "eu.siacs.conversations.axolotl.devicelist", "urn:xmpp:omemo:2:devices", "urn:xmpp:omemo:2:bundles",
                "urn:xmpp:openpgp:0:public-keys",
            ], in: .message, .metadata, "news of encryption keys", "XEP-0384, XEP-0373"),
        Payload(
            "other-events", Payload.all("http://jabber.org/protocol/pubsub#event", "event"), in: .message, .metadata,
            "other published events", "XEP-0060"),
    ]
}
