import NIOCore
import XMPP

extension BlockDictionary {
    /// What both ends know without being told, where the peer names no dictionary of its own: the markup of ordinary traffic, as
    /// ``DictionaryTrainer`` finds it in model stanzas. So it has no file; it belongs to the release, and an end that has another
    /// one, or none, refuses it and begins without (docs/link-protocol.md, "Dictionaries").
    package static let standard: BlockDictionary = {
        var trainer = DictionaryTrainer()
        let reader = StanzaReader()
        // The first stanza with an id spells it in full, the next as one that follows. What is written more often stands nearer.
        for round in 0..<4 {
            for (number, model) in StandardDictionary.models.enumerated() {
                let id = UInt32(truncatingIfNeeded: 0x4000_0000 + round * 4_096 + number)
                let hex = String(id, radix: 16)
                let text = model.replacing("<TO>", with: "to='b\(round)@b.example/r'")
                    .replacing("<FROM>", with: "from='a\(round)@a.example/r'")
                    .replacing("<ID>", with: "id='\(hex)'")
                    .replacing("<UUID>", with: "id='\(hex)-0000-4000-8000-0000\(hex)'")
                do throws(StreamError) {
                    trainer.add(try reader.read(ByteBuffer(string: text)))
                } catch {
                    preconditionFailure("a model stanza cannot be read: \(model)")
                }
            }
        }
        let text = trainer.dictionary()
        var hash = StableHash()
        for byte in text.readableBytesView { hash.combine(byte) }
        return BlockDictionary(id: hash.value, text: text)
    }()
}

/// Model stanzas: what clients and rooms write, whole and with what profiles leave of it.
private enum StandardDictionary {
    static let models: [String] = {
        var models: [String] = []
        for id in ["<ID>", "<UUID>"] {
            for lang in [" xml:lang='en'", ""] {
                models += messages.map { "<message <TO> <FROM> type='chat' <ID><LANG>>\($0)</message>" }
                    .map { filled($0, id, lang) }
                models += roomMessages.map { "<message <TO> <FROM> type='groupchat' <ID><LANG>>\($0)</message>" }
                    .map { filled($0, id, lang) }
            }
            models += requests.map { filled($0, id, "") }
        }
        for lang in [" xml:lang='en'", ""] {
            models += presence.map { filled($0, "", lang) }
            models += roomPresence.map { filled($0, "", lang) }
        }
        return models
    }()

    private static func filled(_ model: String, _ id: String, _ lang: String) -> String {
        model.replacing("<ID>", with: id).replacing("<LANG>", with: lang)
    }

    private static let messages: [String] = {
        let request = "<request xmlns='urn:xmpp:receipts'/>"
        let active = "<active xmlns='http://jabber.org/protocol/chatstates'/>"
        var contents = ["", request, request + "<thread>x</thread>", active + request]
        contents.append(active + request + "<markable xmlns='urn:xmpp:chat-markers:0'/>")
        contents.append("<replace <ID> xmlns='urn:xmpp:message-correct:0'/>")
        var messages = contents.map { "<body>x</body>" + $0 }
        for store in ["", "<store xmlns='urn:xmpp:hints'/>"] {
            messages.append("<received <ID> xmlns='urn:xmpp:receipts'/>" + store)
            messages.append("<displayed <ID> xmlns='urn:xmpp:chat-markers:0'/>" + store)
        }
        for state in ["composing", "paused", "active"] {
            messages.append("<\(state) xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/>")
        }
        return messages
    }()

    private static let roomMessages = [
        "<body>x</body>",
        "<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/><origin-id <ID> xmlns='urn:xmpp:sid:0'/>"
            + "<markable xmlns='urn:xmpp:chat-markers:0'/>",
        "<subject>x</subject>",
    ]

    private static let presence: [String] = {
        var presence: [String] = []
        for show in ["", "<show>away</show>", "<show>dnd</show>", "<show>xa</show>", "<show>chat</show>"] {
            for status in ["", "<status>x</status>"] {
                for priority in ["", "<priority>5</priority>"] {
                    presence.append("<presence <TO> <FROM><LANG>>" + show + status + priority + "</presence>")
                }
            }
        }
        for type in ["unavailable", "probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
            presence.append("<presence <TO> <FROM> type='\(type)'<LANG>/>")
        }
        return presence
    }()

    private static let roomPresence: [String] = {
        let room = "<x xmlns='http://jabber.org/protocol/muc"
        var presence = ["'/>", "'><history maxstanzas='10'/></x>"].map { "<presence <TO> <FROM><LANG>>" + room + $0 + "</presence>" }
        for affiliation in ["none", "member", "admin", "owner"] {
            for status in ["", "<status code='110'/>"] {
                let start = "\(room)#user'><item affiliation='\(affiliation)' role='"
                presence.append("<presence <TO> <FROM><LANG>>\(start)participant'/>\(status)</x></presence>")
                presence.append("<presence <TO> <FROM> type='unavailable'<LANG>>\(start)none'/>\(status)</x></presence>")
            }
        }
        return presence
    }()

    private static let requests: [String] = {
        let info = "http://jabber.org/protocol/disco#info"
        let items = "http://jabber.org/protocol/disco#items"
        var requests: [String] = []
        for namespace in [info, items, "jabber:iq:version"] {
            requests.append("<iq <TO> <FROM> type='get' <ID>><query xmlns='\(namespace)'/></iq>")
        }
        requests.append("<iq <TO> <FROM> type='get' <ID>><ping xmlns='urn:xmpp:ping'/></iq>")
        requests.append("<iq <TO> <FROM> type='get' <ID>><vCard xmlns='vcard-temp'/></iq>")
        requests.append("<iq <TO> <FROM> type='result' <ID>/>")
        requests.append("<iq <TO> <FROM> type='result' <ID>><vCard xmlns='vcard-temp'><FN>x</FN></vCard></iq>")
        for (type, condition) in [("cancel", "service-unavailable"), ("wait", "remote-server-timeout")] {
            requests.append(
                "<iq <TO> <FROM> type='error' <ID>><error type='\(type)'><\(condition) "
                    + "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
        }
        return requests
    }()
}
