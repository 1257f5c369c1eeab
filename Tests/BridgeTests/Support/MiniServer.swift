import NIOCore
import NIOPosix
import Synchronization
import XMPP

/// A server as small as federation allows: s2s in the clear, proved by dialback (XEP-0220), one stream per pair and
/// direction. Written from the protocol alone, without the bridge's own stream machines.
final class MiniServer: Sendable {
    /// What it does with a stanza beside recording it.
    typealias Responder = @Sendable (Stanza) -> [Stanza]

    struct State {
        var bridge: SocketAddress?
        var received: [Stanza] = []
        var log: [String] = []
        var nextStream = 1
        /// Streams towards the bridge, by `LOCAL REMOTE`; what waits for their proof.
        var sending: [String: MiniStream.Sender] = [:]
        var channels: [any Channel] = []
    }

    let group: any EventLoopGroup
    let address: SocketAddress
    private let listener: any Channel
    private let state: Mutex<State>
    private let responder: Mutex<Responder>

    private init(group: any EventLoopGroup, listener: any Channel, address: SocketAddress, box: Box) {
        self.group = group
        self.listener = listener
        self.address = address
        state = Mutex(State())
        responder = Mutex({ _ in [] })
        box.server.withLock { $0 = self }
    }

    /// Lets the listener find the server that it belongs to.
    final class Box: Sendable {
        let server = Mutex<MiniServer?>(nil)
    }

    static func start(on group: any EventLoopGroup) async throws -> MiniServer {
        let box = Box()
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let server = box.server.withLock({ $0 }) else { throw ChannelError.ioOnClosedChannel }
                    try channel.pipeline.syncOperations.addHandler(MiniStream(server, .accepted))
                    server.with { $0.channels.append(channel) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let address = listener.localAddress else { throw ChannelError.unknownLocalAddress }
        return MiniServer(group: group, listener: listener, address: address, box: box)
    }

    func with<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock(body)
    }

    func respond(_ body: @escaping Responder) {
        responder.withLock { $0 = body }
    }

    var received: [Stanza] { with { $0.received } }
    var log: [String] { with { $0.log } }
    var port: Int { address.port ?? 0 }

    func connect(to bridge: SocketAddress) {
        with { $0.bridge = bridge }
    }

    func note(_ line: String) {
        with { $0.log.append(line) }
    }

    func take(_ stanza: Stanza) {
        with { $0.received.append(stanza) }
        for answer in responder.withLock({ $0 })(stanza) { send(answer) }
    }

    /// Sends a stanza to the bridge, by a stream that is made and proved when there is none.
    func send(_ stanza: Stanza) {
        guard let local = stanza.fromDomain, let remote = stanza.toDomain else { return }
        let key = "\(local) \(remote)"
        let (sender, isNew) = with { state in
            if let sender = state.sending[key] { return (sender, false) }
            let sender = MiniStream.Sender(local: local.string, remote: remote.string)
            state.sending[key] = sender
            return (sender, true)
        }
        sender.send(stanza.text)
        if isNew { open(.sending(sender)) }
    }

    func forget(_ sender: MiniStream.Sender) {
        with { $0.sending["\(sender.local) \(sender.remote)"] = nil }
    }

    func open(_ role: MiniStream.Role) {
        guard let bridge = with({ $0.bridge }) else { return }
        ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(MiniStream(self, role))
                    self.with { $0.channels.append(channel) }
                }
            }
            .connect(to: bridge)
            .whenFailure { error in self.note("connect failed: \(error)") }
    }

    /// Stops or goes on reading what has come in on all streams.
    func setReading(_ isReading: Bool) async throws {
        for channel in with({ $0.channels }) where channel.isActive {
            try await channel.setOption(.autoRead, value: isReading).get()
            if isReading { channel.read() }
        }
    }

    /// Closes all streams without a word.
    func cut() async {
        let channels = with { state in
            let channels = state.channels
            state.channels = []
            return channels
        }
        for channel in channels { try? await channel.close() }
    }

    func stop() async {
        try? await listener.close()
        await cut()
    }
}

/// One stream of the ``MiniServer``.
final class MiniStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// A stream of ours with what waits for its proof.
    final class Sender: Sendable {
        struct State {
            var waiting: [String] = []
            var channel: (any Channel)?
        }
        let local: String
        let remote: String
        private let state = Mutex(State())

        init(local: String, remote: String) {
            self.local = local
            self.remote = remote
        }

        func send(_ text: String) {
            let channel = state.withLock { state in
                if state.channel == nil { state.waiting.append(text) }
                return state.channel
            }
            channel?.writeAndFlush(ByteBuffer(string: text), promise: nil)
        }

        func proved(_ channel: any Channel) {
            let waiting = state.withLock { state in
                state.channel = channel
                defer { state.waiting = [] }
                return state.waiting
            }
            channel.writeAndFlush(ByteBuffer(string: waiting.joined()), promise: nil)
        }
    }

    /// A key that came in on another stream and has to be verified where it was made.
    struct Question: Sendable {
        var local: String
        var remote: String
        var id: String
        var key: String
        var asker: any Channel
    }

    enum Role: Sendable {
        case accepted
        case sending(Sender)
        case verifying(Question)
    }

    private let server: MiniServer
    private let role: Role
    private let reader = StreamReader(limits: .local, root: .received)
    private var streamID = ""

    init(_ server: MiniServer, _ role: Role) {
        self.server = server
        self.role = role
    }

    private static let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
        + "xmlns:db='jabber:server:dialback' version='1.0'"

    func channelActive(context: ChannelHandlerContext) {
        switch role {
        case .accepted: break
        case .sending(let sender):
            write("\(Self.header) from='\(sender.local)' to='\(sender.remote)'>", context)
        case .verifying(let question):
            write("\(Self.header) from='\(question.local)' to='\(question.remote)'>", context)
        }
    }

    private func write(_ text: String, _ context: ChannelHandlerContext) {
        context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        reader.read(&bytes)
        while let event = reader.nextEvent() {
            switch event {
            case .opened(let header): opened(header, context)
            case .stanza(let stanza) where stanza.kind == .other: negotiate(stanza.root, context)
            case .stanza(let stanza): server.take(stanza)
            case .oversize, .failed: server.note("unreadable")
            case .closed:
                server.note("closed in good order")
                write("</stream:stream>", context)
                context.close(promise: nil)
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .sending(let sender) = role { server.forget(sender) }
    }

    private func opened(_ header: StreamHeader, _ context: ChannelHandlerContext) {
        guard case .accepted = role else {
            streamID = header.id ?? ""
            return
        }
        streamID = server.with { state in
            defer { state.nextStream += 1 }
            return "mini-\(state.nextStream)"
        }
        write(
            "\(Self.header) from='\(header.to ?? "")' to='\(header.from ?? "")' id='\(streamID)'><stream:features>"
                + "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback></stream:features>", context)
    }

    private func negotiate(_ element: Element, _ context: ChannelHandlerContext) {
        let from = element.attribute("from") ?? ""
        let to = element.attribute("to") ?? ""
        switch (element.name, element.attribute("type")) {
        case ("features", _):
            switch role {
            case .accepted: break
            case .sending(let sender):
                let key = Self.key(sender.local, sender.remote, streamID)
                write("<db:result from='\(sender.local)' to='\(sender.remote)'>\(key)</db:result>", context)
            case .verifying(let question):
                write(
                    "<db:verify from='\(question.local)' to='\(question.remote)' id='\(question.id)'>\(question.key)"
                        + "</db:verify>", context)
            }
        case ("result", nil):
            server.open(
                .verifying(
                    Question(local: to, remote: from, id: streamID, key: element.text, asker: context.channel)))
        case ("result", "valid"):
            if case .sending(let sender) = role { sender.proved(context.channel) }
        case ("verify", nil):
            let id = element.attribute("id") ?? ""
            let answer = element.text == Self.key(to, from, id) ? "valid" : "invalid"
            write("<db:verify from='\(to)' to='\(from)' id='\(id)' type='\(answer)'/>", context)
        case ("verify", let type?):
            guard case .verifying(let question) = role else { return }
            let result = "<db:result from='\(question.local)' to='\(question.remote)' type='\(type)'/>"
            question.asker.writeAndFlush(ByteBuffer(string: result), promise: nil)
            write("</stream:stream>", context)
        case (let name, let type):
            server.note("\(name) \(type ?? "") \(element.firstChild("text", XMLNamespace.streamErrors)?.text ?? "")")
        }
    }

    private static func key(_ local: String, _ remote: String, _ id: String) -> String {
        "key-\(local)-\(remote)-\(id)"
    }
}
