import DequeModule
import XMPP

/// A stanza that the model server has for the bridge.
struct ServerItem {
    enum Sender {
        case user
        /// Something that a room sent to this occupant.
        case room(Room, occupant: String)
    }

    var xml: String
    var key: DeliveryKey?
    var sender: Sender = .user
}

/// What waits for one pair of domains, and the stream that carries it.
final class OutboundRoute {
    let local: String
    let remote: String
    var queue: Deque<ServerItem> = []
    var stream: ServerStream?
    /// Written and not acknowledged; Prosody keeps 500 and then forgets the oldest.
    var unacknowledged: Deque<ServerItem> = []
    var forgotten: [ServerItem] = []
    var isWaiting = false
    /// Since when an acknowledgement is missing.
    var unansweredSince: Int64?

    init(local: String, remote: String) {
        self.local = local
        self.remote = remote
    }

    func acknowledged(_ count: UInt32) {
        guard let stream else { return }
        while stream.acknowledged != count {
            stream.acknowledged &+= 1
            if !forgotten.isEmpty { forgotten.removeFirst() } else { _ = unacknowledged.popFirst() }
        }
        unansweredSince = nil
    }
}

/// The XMPP server of a site as the bridge sees it: a strict peer on streams between servers, with Prosody's habits.
final class SimulatedServer {
    static let smNamespace = "urn:xmpp:sm:3"
    /// Prosody's queue of stream management between servers.
    static let managedQueue = 500

    unowned let site: SimulatedSite
    let world: Simulation
    /// Offers and uses stream management (XEP-0198).
    let hasManagement: Bool
    /// What was not acknowledged when a stream died is sent again (`smacks_s2s_resend`), instead of given back.
    let resends: Bool
    private(set) var isUp = true
    /// It does not read.
    private(set) var isSlow = false
    /// It reads, but does not answer requests for a count.
    var ignoresRequests = false
    var rooms: [Room] = []
    private var routes: [OutboundRoute] = []
    private var streams: [ServerStream] = []
    private var starts = 0
    private var nextStreamID = 0
    /// The most stanzas that were unacknowledged when a stream died.
    private(set) var largestDoubt = 0

    init(_ site: SimulatedSite, hasManagement: Bool, resends: Bool) {
        self.site = site
        world = site.world
        self.hasManagement = hasManagement
        self.resends = resends
    }

    func makeStreamID() -> String {
        nextStreamID += 1
        return "server\(site.index)-\(starts)-\(nextStreamID)"
    }

    func dialbackKey(_ streamID: String, _ local: String, _ remote: String) -> String {
        var hash = StableHash()
        for text in [streamID, local, remote] { hash.combine(StableHash.of(text)) }
        hash.combine(site.secret)
        return String(hash.value, radix: 16)
    }

    // MARK: Towards the bridge

    func send(_ item: ServerItem, from local: String, to remote: String) {
        guard isUp else {
            if let key = item.key { world.oracle.lostTowardsBridge(key) }
            return
        }
        let route = self.route(local, remote)
        route.queue.append(item)
        guard let stream = route.stream else { return connect(route) }
        if isReady(stream) { flush(route) }
    }

    private func route(_ local: String, _ remote: String) -> OutboundRoute {
        if let route = routes.first(where: { $0.local == local && $0.remote == remote }) { return route }
        routes.append(OutboundRoute(local: local, remote: remote))
        return routes[routes.count - 1]
    }

    private func isReady(_ stream: ServerStream) -> Bool { stream.isOpen && (stream.isManaged || stream.isUnmanagedReady) }

    private func connect(_ route: OutboundRoute) {
        guard !route.isWaiting else { return }
        route.isWaiting = true
        let start = starts
        world.after(Int64(world.random.between(200, 3_000)) * 1_000) { [weak self] in
            guard let self, self.starts == start else { return }
            route.isWaiting = false
            guard route.stream == nil else { return }
            guard let process = self.site.process, let socket = self.world.makeSocket(self.site) else {
                return self.refused(route)
            }
            let stream = ServerStream(self, .outbound(route), socket)
            route.stream = stream
            self.open(stream, process)
            self.world.after(90_000_000_000) { [weak stream] in
                guard let stream, !stream.isOpen else { return }
                stream.close()
            }
        }
    }

    private func open(_ stream: ServerStream, _ process: BridgeProcess) {
        streams.append(stream)
        stream.socket.stream = stream
        process.accept(stream.socket)
        stream.begin()
    }

    /// No stream could be made: everything that waited for it goes back.
    private func refused(_ route: OutboundRoute) {
        let waiting = route.queue
        route.queue = []
        for item in waiting { bounce(item) }
    }

    /// The stream carries stanzas from now on.
    func opened(_ route: OutboundRoute) {
        route.stream?.isUnmanagedReady = true
        flush(route)
    }

    private func flush(_ route: OutboundRoute) {
        guard let stream = route.stream else { return }
        while let item = route.queue.popFirst() {
            if stream.isManaged {
                stream.sent &+= 1
                route.unacknowledged.append(item)
                if route.unacknowledged.count > SimulatedServer.managedQueue {
                    if let oldest = route.unacknowledged.popFirst() { route.forgotten.append(oldest) }
                }
            }
            stream.write(item)
        }
        guard stream.isManaged, !route.unacknowledged.isEmpty, route.unansweredSince == nil else { return }
        request(route, stream)
    }

    /// Asks for a count; ends the stream when none comes in time, as newer Prosody does.
    private func request(_ route: OutboundRoute, _ stream: ServerStream) {
        let asked = world.now
        route.unansweredSince = asked
        stream.write("<r xmlns='\(SimulatedServer.smNamespace)'/>")
        world.after(1_000_000_000) { [weak self, weak stream] in
            guard let self, let stream, !stream.hasEnded, route.stream === stream else { return }
            // An answer that came left something unacknowledged: ask again.
            if route.unansweredSince != asked, !route.unacknowledged.isEmpty, route.unansweredSince == nil {
                self.request(route, stream)
            }
        }
        world.after(120_000_000_000) { [weak stream] in
            guard let stream, !stream.hasEnded, route.stream === stream, route.unansweredSince == asked else { return }
            stream.close()
        }
    }

    // MARK: From the bridge

    /// The bridge dialled.
    func accept(_ socket: LocalSocket) {
        let stream = ServerStream(self, .inbound, socket)
        socket.stream = stream
        socket.toServer.isPaused = isSlow
        streams.append(stream)
    }

    /// Asks the authoritative server, which is the bridge again, about a key.
    func verify(_ asker: ServerStream, key: String, local: String, remote: String) {
        guard site.owns(local) else { return world.oracle.fail("the bridge wants to speak to \(local), which is not here") }
        let streamID = asker.streamID
        world.after(500_000) { [weak self] in
            guard let self, self.isUp, !asker.hasEnded else { return }
            guard let process = self.site.process, let socket = self.world.makeSocket(self.site) else { return asker.close() }
            let stream = ServerStream(
                self, .verification(asker: asker, streamID: streamID, key: key, local: local, remote: remote), socket)
            self.open(stream, process)
        }
    }

    func route(_ stanza: Stanza, on stream: ServerStream) {
        world.stanzaArrived(stanza, at: site, on: stream)
    }

    // MARK: The end of streams

    func ended(_ stream: ServerStream) {
        streams.removeAll { $0 === stream }
        guard case .outbound(let route) = stream.role, route.stream === stream else { return }
        route.stream = nil
        route.unansweredSince = nil
        let unacknowledged = route.unacknowledged
        let forgotten = route.forgotten
        route.unacknowledged = []
        route.forgotten = []
        largestDoubt = max(largestDoubt, unacknowledged.count + forgotten.count)
        // Prosody's queue is full: what it overwrote is not given back.
        for item in forgotten { if let key = item.key { world.oracle.lostTowardsBridge(key) } }
        let wasReady = stream.wasReady
        guard isUp else {
            for item in Array(unacknowledged) + Array(route.queue) { lose(item) }
            route.queue = []
            return
        }
        // Of what was refused the bridge knows nothing any more after a crash, or when it had acknowledged it and that was lost.
        for item in unacknowledged { if let key = item.key { world.oracle.unacknowledged(key) } }
        if resends {
            taintRoomsLeftAndJoined(unacknowledged)
            for item in unacknowledged.reversed() { route.queue.prepend(item) }
        } else {
            for item in unacknowledged { bounce(item) }
        }
        guard !route.queue.isEmpty else { return }
        wasReady ? connect(route) : refused(route)
    }

    /// Presence has no id: what the server sends again of it is not known from new, so whoever left a room and joined again does
    /// both once more, and his client hears in between that he left.
    private func taintRoomsLeftAndJoined(_ items: some Sequence<ServerItem>) {
        var left: Set<DeliveryKey> = []
        for item in items {
            guard case .user = item.sender, let key = item.key, case .room = key else { continue }
            if item.xml.contains(" type='unavailable'") {
                left.insert(key)
            } else if left.contains(key) {
                world.oracle.taintRoom(key)
            }
        }
    }

    private func lose(_ item: ServerItem) {
        if let key = item.key { world.oracle.lostTowardsBridge(key) }
    }

    /// The server gives a stanza back to whom it came from.
    private func bounce(_ item: ServerItem) {
        switch item.sender {
        case .user:
            if let key = item.key {
                world.oracle.serverBounced(key)
                if case .room = key { world.oracle.taintRoom(key) }
            }
        case .room(let room, let occupant):
            room.errorReceived(from: occupant, isFromBridge: false)
        }
    }

    // MARK: Faults

    func setSlow(_ isSlow: Bool) {
        self.isSlow = isSlow
        for stream in streams { stream.socket.toServer.isPaused = isSlow }
    }

    func stop() {
        guard isUp else { return }
        isUp = false
        starts += 1
        let ending = streams
        for route in routes {
            for item in route.queue { lose(item) }
            route.queue = []
            route.isWaiting = false
        }
        for stream in ending { stream.socket.closedByServer(kernelLives: false) }
        for stream in ending { stream.ended() }
        for room in rooms { room.restarted() }
    }

    func start() {
        guard !isUp else { return }
        isUp = true
        isSlow = false
    }

    /// A stream that lives, by a number; nil when there is none.
    func stream(_ number: Int) -> ServerStream? { streams.isEmpty ? nil : streams[number % streams.count] }

    /// Whether nothing waits here.
    var isQuiet: Bool { routes.allSatisfy { $0.queue.isEmpty && $0.unacknowledged.isEmpty } }
}
