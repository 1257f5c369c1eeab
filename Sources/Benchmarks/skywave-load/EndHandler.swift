import NIOCore
import NIOPosix

/// Why a load could not run: a short text for the person who started it.
struct LoadError: Error, CustomStringConvertible {
    var description: String
}

/// A stream whose negotiation an `EndHandler` plays; afterwards its bytes are messages.
///
/// One small state machine per role, fed with tags; what it answers is text. Roles:
/// * `component`: attaches to a server as an external component (XEP-0114).
/// * `dialling`: opens an s2s stream to the bridge and proves our domain by dialback (XEP-0220).
/// * `accepting`: takes what the bridge opens towards us: streams that carry stanzas, and dialback verifications.
enum EndRole {
    case component(domain: String, secret: String)
    case dialling(domain: String, remote: String)
    case accepting(domain: String)
}

/// Plays one stream's negotiation and then counts messages.
final class EndHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let role: EndRole
    private let onReady: (any Channel) -> Void
    private let onMessages: (inout TagScanner) -> Void
    private let onEnd: (String) -> Void
    private var scanner = TagScanner()
    private var carriesMessages = false
    private var ended = false

    init(
        role: EndRole, onReady: @escaping (any Channel) -> Void, onMessages: @escaping (inout TagScanner) -> Void,
        onEnd: @escaping (String) -> Void
    ) {
        self.role = role
        self.onReady = onReady
        self.onMessages = onMessages
        self.onEnd = onEnd
    }

    func channelActive(context: ChannelHandlerContext) {
        switch role {
        case .component(let domain, _):
            send(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' "
                    + "xmlns:stream='http://etherx.jabber.org/streams' to='\(domain)'>", context)
        case .dialling(let domain, let remote):
            send(Self.header(from: domain, to: remote, id: nil), context)
        case .accepting:
            break
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        scanner.feed(unwrapInboundIn(data))
        if !carriesMessages {
            while !carriesMessages, let tag = scanner.nextTag() { negotiate(tag, context) }
        }
        if carriesMessages { onMessages(&scanner) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end("stream closed")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end("\(error)")
        context.close(promise: nil)
    }

    private func end(_ reason: String) {
        guard !ended else { return }
        ended = true
        // Verification streams come and go.
        if case .accepting = role, !carriesMessages { return }
        onEnd(reason)
    }

    // MARK: Negotiation

    private func negotiate(_ tag: Tag, _ context: ChannelHandlerContext) {
        if tag.name == "stream:error" {
            end("stream error: \(scanner.nextTag()?.name ?? "unnamed")")
            context.close(promise: nil)
            return
        }
        switch role {
        case .component(_, let secret): negotiateComponent(tag, secret, context)
        case .dialling(let domain, let remote): negotiateDialling(tag, domain, remote, context)
        case .accepting(let domain): negotiateAccepting(tag, domain, context)
        }
    }

    private func negotiateComponent(_ tag: Tag, _ secret: String, _ context: ChannelHandlerContext) {
        switch tag.name {
        case "stream:stream":
            let digest = Handshake.digest(streamID: tag.attribute("id") ?? "", secret: secret)
            send("<handshake>\(digest)</handshake>", context)
        case "handshake":
            becomeReady(context)
        default:
            break
        }
    }

    private func negotiateDialling(_ tag: Tag, _ domain: String, _ remote: String, _ context: ChannelHandlerContext) {
        switch tag.name {
        case "stream:stream":
            let key = Self.dialbackKey(streamID: tag.attribute("id") ?? "", domain: domain)
            send("<db:result from='\(domain)' to='\(remote)'>\(key)</db:result>", context)
        case "db:result":
            guard tag.attribute("type") == "valid" else {
                end("dialback refused: \(tag.attribute("type") ?? "no type")")
                context.close(promise: nil)
                return
            }
            becomeReady(context)
        default:
            break
        }
    }

    private func negotiateAccepting(_ tag: Tag, _ domain: String, _ context: ChannelHandlerContext) {
        let from = tag.attribute("from") ?? ""
        switch tag.name {
        case "stream:stream":
            send(
                Self.header(from: domain, to: from, id: "load-stream")
                    + "<stream:features><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
                    + "</stream:features>", context)
        case "db:verify":
            let id = tag.attribute("id") ?? ""
            let type = tag.text == Self.dialbackKey(streamID: id, domain: domain) ? "valid" : "invalid"
            send("<db:verify from='\(domain)' to='\(from)' id='\(id)' type='\(type)'/>", context)
        case "db:result":
            // A load believes the bridge: what is measured is not the load's own verification.
            send("<db:result from='\(domain)' to='\(from)' type='valid'/>", context)
            becomeReady(context)
        default:
            break
        }
    }

    private func becomeReady(_ context: ChannelHandlerContext) {
        carriesMessages = true
        onReady(context.channel)
    }

    private func send(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: text)), promise: nil)
    }

    /// Any key will do that we recognise when it comes back for verification.
    private static func dialbackKey(streamID: String, domain: String) -> String {
        "load-key-\(domain)-\(streamID)"
    }

    private static func header(from: String, to: String, id: String?) -> String {
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
            + "xmlns:db='jabber:server:dialback' from='\(from)' to='\(to)'" + (id.map { " id='\($0)'" } ?? "")
            + " version='1.0'>"
    }
}
