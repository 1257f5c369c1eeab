import NIOCore
import XMPP

/// One stream of the model server, in whatever role.
final class ServerStream {
    enum Role {
        /// Carries stanzas of one pair of domains to the bridge.
        case outbound(OutboundRoute)
        /// The bridge opened it.
        case inbound
        /// Asks the bridge, as the authoritative server, whether a key is its own.
        case verification(asker: ServerStream, streamID: String, key: String, local: String, remote: String)
    }

    let role: Role
    let socket: LocalSocket
    unowned let server: SimulatedServer
    /// The run of the bridge's process at the other end.
    let bridgeRun: Int
    private let reader = StreamReader(limits: .local, root: .received)
    private let world: Simulation

    /// The id that this side gave an inbound stream, or the bridge gave an outbound one.
    private(set) var streamID = ""
    /// Pairs that the bridge proved on an inbound stream.
    private var proved: [(remote: String, local: String)] = []
    /// Stream management is on: what dies here is not silently lost.
    private(set) var isManaged = false
    private var bridgeOffersManagement = false
    private(set) var isOpen = false
    private(set) var hasEnded = false
    /// Stanzas taken since stream management was enabled.
    private var received: UInt32 = 0
    /// Stanzas written since then.
    var sent: UInt32 = 0
    var acknowledged: UInt32 = 0
    /// Carries stanzas without stream management.
    var isUnmanagedReady = false
    /// It carried stanzas, or could have.
    var wasReady: Bool { isManaged || isUnmanagedReady }

    init(_ server: SimulatedServer, _ role: Role, _ socket: LocalSocket) {
        self.server = server
        self.role = role
        self.socket = socket
        world = server.world
        bridgeRun = server.site.starts
    }

    // MARK: Writing

    func write(_ text: String) {
        socket.toBridge.write(VirtualPipe.Unit(bytes: Array(text.utf8), isStanza: false))
    }

    func write(_ item: ServerItem) {
        socket.toBridge.write(VirtualPipe.Unit(bytes: Array(item.xml.utf8), isStanza: true, key: item.key))
    }

    /// The first thing on a stream that the server opens.
    func begin() {
        switch role {
        case .outbound(let route): write(StreamHeader(from: route.local, to: route.remote).openingTag())
        case .verification(_, _, _, let local, let remote): write(StreamHeader(from: local, to: remote).openingTag())
        case .inbound: break
        }
    }

    /// Closes in good order.
    func close() {
        guard !hasEnded else { return }
        write(StreamHeader.closingTag)
        socket.closedByServer(kernelLives: true)
        end()
    }

    // MARK: Reading

    func read(_ bytes: [UInt8]) {
        guard !hasEnded else { return }
        var buffer = ByteBuffer(bytes: bytes)
        reader.read(&buffer)
        while !hasEnded, let event = reader.nextEvent() {
            switch event {
            case .opened(let header): opened(header)
            case .stanza(let stanza): stanza.kind == .other ? element(stanza.root) : self.stanza(stanza)
            case .closed: close()
            case .oversize: world.oracle.fail("the bridge wrote a stanza over the limit")
            case .failed(let error): world.oracle.fail("the bridge wrote what cannot be read: \(error)")
            }
        }
    }

    private func opened(_ header: StreamHeader) {
        switch role {
        case .inbound:
            streamID = server.makeStreamID()
            guard let from = header.from, let to = header.to else {
                return world.oracle.fail("the bridge opened a stream without from and to")
            }
            write(StreamHeader(from: to, to: from, id: streamID).openingTag())
            var features = "<stream:features><dialback xmlns='\(XMLNamespace.dialbackFeature)'><errors/></dialback>"
            if server.hasManagement { features += "<sm xmlns='\(SimulatedServer.smNamespace)'/>" }
            write(features + "</stream:features>")
        case .outbound, .verification:
            streamID = header.id ?? ""
        }
    }

    private func element(_ root: Element) {
        switch (root.namespace, root.name) {
        case (XMLNamespace.stream, "features"): featuresRead(root)
        case (XMLNamespace.stream, "error"): close()
        case (XMLNamespace.dialback, "result"): resultRead(root)
        case (XMLNamespace.dialback, "verify"): verifyRead(root)
        case (SimulatedServer.smNamespace, let name): managementRead(name, root)
        default: world.oracle.fail("the bridge wrote an element that a server does not know: \(root.name)")
        }
    }

    private func featuresRead(_ root: Element) {
        if root.children.contains(where: { $0.name == "sm" && $0.namespace == SimulatedServer.smNamespace }) {
            bridgeOffersManagement = true
        }
        switch role {
        case .outbound(let route):
            guard !isOpen else { return offered() }
            let key = server.dialbackKey(streamID, route.local, route.remote)
            write("<db:result from='\(route.local)' to='\(route.remote)'>\(key)</db:result>")
        case .verification(_, let streamID, let key, let local, let remote):
            write("<db:verify from='\(local)' id='\(streamID)' to='\(remote)'>\(key)</db:verify>")
        case .inbound:
            world.oracle.fail("the bridge wrote features on a stream that it opened")
        }
    }

    private func resultRead(_ root: Element) {
        let from = root.attribute("from") ?? ""
        let to = root.attribute("to") ?? ""
        switch role {
        case .inbound:
            guard root.attribute("type") == nil else { return }
            server.verify(self, key: root.text, local: to, remote: from)
        case .outbound(let route):
            guard root.attribute("type") == "valid" else { return close() }
            isOpen = true
            if bridgeOffersManagement { offered() }
            if !server.hasManagement || !bridgeOffersManagement { server.opened(route) }
        case .verification:
            world.oracle.fail("the bridge answered a key on a stream that only asks")
        }
    }

    /// The bridge offers stream management on a stream that is open.
    private func offered() {
        guard server.hasManagement, bridgeOffersManagement, !isManaged else { return }
        write("<enable xmlns='\(SimulatedServer.smNamespace)'/>")
    }

    private func verifyRead(_ root: Element) {
        let from = root.attribute("from") ?? ""
        let to = root.attribute("to") ?? ""
        let id = root.attribute("id") ?? ""
        switch role {
        case .inbound:
            guard root.attribute("type") == nil else { return }
            let isValid = root.text == server.dialbackKey(id, to, from)
            write("<db:verify from='\(to)' id='\(id)' to='\(from)' type='\(isValid ? "valid" : "invalid")'/>")
        case .verification(let asker, _, _, let local, let remote):
            asker.answered(root.attribute("type") == "valid", local: local, remote: remote)
            close()
        case .outbound:
            world.oracle.fail("the bridge answered a question that was not asked here")
        }
    }

    /// The authoritative server has spoken about a key that came in here.
    private func answered(_ isValid: Bool, local: String, remote: String) {
        guard !hasEnded else { return }
        if isValid { proved.append((remote, local)) }
        isOpen = isOpen || isValid
        write("<db:result from='\(local)' to='\(remote)' type='\(isValid ? "valid" : "invalid")'/>")
    }

    private func managementRead(_ name: String, _ root: Element) {
        switch name {
        case "enable":
            guard isOpen, server.hasManagement, !isManaged else {
                return write("<failed xmlns='\(SimulatedServer.smNamespace)'/>")
            }
            isManaged = true
            received = 0
            write("<enabled xmlns='\(SimulatedServer.smNamespace)'/>")
        case "enabled":
            guard case .outbound(let route) = role else { return }
            isManaged = true
            sent = 0
            server.opened(route)
        case "failed":
            guard case .outbound(let route) = role else { return }
            server.opened(route)
        case "r":
            guard isManaged else { return world.oracle.fail("the bridge asked for a count before it was enabled") }
            guard !server.ignoresRequests else { return }
            write("<a h='\(received)' xmlns='\(SimulatedServer.smNamespace)'/>")
        case "a":
            guard case .outbound(let route) = role, let count = root.attribute("h").flatMap({ UInt32($0) }) else {
                return world.oracle.fail("the bridge counted wrongly")
            }
            guard count >= acknowledged, count <= sent else {
                return world.oracle.fail("the bridge counted \(count) of \(sent) stanzas, and \(acknowledged) before")
            }
            route.acknowledged(count)
        default:
            world.oracle.fail("the bridge wrote an element of stream management that is none: \(name)")
        }
    }

    private func stanza(_ stanza: Stanza) {
        guard case .inbound = role else {
            return world.oracle.fail("the bridge wrote a stanza on a stream that the server opened")
        }
        guard let to = stanza.toDomain, let from = stanza.fromDomain,
            proved.contains(where: { $0.remote == from.string && $0.local == to.string })
        else { return world.oracle.fail("the bridge wrote a stanza of a pair that it has not proved") }
        received &+= 1
        server.route(stanza, on: self)
    }

    // MARK: The end

    /// The connection is gone.
    func ended() {
        end()
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        isOpen = false
        server.ended(self)
    }
}
