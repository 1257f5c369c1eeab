import Blocks
import BridgeCore
import DequeModule
import NIOCore
import XMPP

/// The link between two sites: like TCP, or like datagrams.
final class SimulatedLink: SiteLink {
    struct Quality {
        /// Blocks may be lost, doubled and overtaken.
        var isDatagram = false
        var bytesPerSecond = 100_000
        var delay: Int64 = 50_000_000
        /// In a thousand, datagrams only.
        var loss = 0
        var duplication = 0
        var overtaking = 0
        /// Bytes that the sender's side takes before it is busy.
        var ahead = 4_096
    }

    /// One site's end.
    private struct End {
        let site: SimulatedSite
        let peer: Int
        var isConnected = false
        var isHeld = false
        /// Arrived while the site does not read.
        var held: Deque<LinkLoad> = []
        /// On its way from this end.
        var flying: Deque<(id: UInt64, load: LinkLoad)> = []
        /// When the channel has sent all that it was given.
        var busyUntil: Int64 = 0
        /// Nothing that is sent here arrives any more, though the end does not know.
        var isDead = false
    }

    private let world: Simulation
    private var ends: [End]
    private var quality: Quality
    /// The link can be used.
    private var isUp = true
    /// Counts connections: what belongs to an older one is void.
    private var connection = 0
    private var nextLoad: UInt64 = 0
    private var isDialling = false
    private let number: Int
    private(set) var blocks = 0
    private(set) var bytes = 0

    init(_ world: Simulation, number: Int, _ one: SimulatedSite, _ other: SimulatedSite, _ quality: Quality) {
        self.world = world
        self.number = number
        self.quality = quality
        ends = [End(site: one, peer: one.links.count), End(site: other, peer: other.links.count)]
        one.add(self)
        other.add(self)
    }

    private func place(_ site: SimulatedSite) -> Int { ends[0].site === site ? 0 : 1 }
    func other(_ site: SimulatedSite) -> SimulatedSite { ends[1 - place(site)].site }
    var isConnected: Bool { ends[0].isConnected && ends[1].isConnected && !ends[0].isDead && !ends[1].isDead }
    /// Nothing is under way.
    var isQuiet: Bool { ends.allSatisfy { $0.flying.isEmpty && $0.held.isEmpty } }

    func adapt(_ policy: inout PeerPolicy, _ scenario: Scenario) {
        let turn = 2 * quality.delay
        // The time that a full block takes is a part of every answer.
        let block = Int64(scenario.blockBytes) * 1_000_000_000 / Int64(quality.bytesPerSecond)
        if quality.isDatagram { policy.linkSession.repeatAfter = .nanoseconds(2 * (turn + 2 * block) + 3_000_000_000) }
        policy.linkSession.deadAfter = .nanoseconds(20 * (turn + 2 * block) + 300_000_000_000)
    }

    // MARK: Connections

    /// The first end dials, again and again.
    private func dial(after pause: Int64) {
        guard !isDialling else { return }
        isDialling = true
        world.after(pause) { [weak self] in
            guard let self else { return }
            self.isDialling = false
            self.connect()
        }
    }

    private func connect() {
        guard !ends[0].isConnected else { return }
        guard isUp, ends.allSatisfy({ $0.site.process != nil }) else {
            if !world.isEnding || ends.allSatisfy({ $0.site.process != nil }) {
                dial(after: Int64(world.random.between(500, 10_000)) * 1_000_000)
            }
            return
        }
        // The far end may still hold the connection before.
        disconnect(1)
        connection += 1
        world.trace.record(world.now, "link up", number, connection)
        for place in 0...1 {
            ends[place].isConnected = true
            ends[place].isDead = false
            ends[place].held = []
            ends[place].flying = []
            ends[place].busyUntil = world.now
        }
        let current = connection
        for place in 0...1 {
            let peer = ends[place].peer
            ends[place].site.process?.turn { $0.linkConnected(peer: peer, now: $1) }
            guard connection == current, ends[place].isConnected else { continue }
            ready(place, at: world.now + 1_000_000)
        }
    }

    private func ready(_ place: Int, at time: Int64) {
        let current = connection
        world.at(time) { [weak self] in
            guard let self, self.connection == current, self.ends[place].isConnected else { return }
            let peer = self.ends[place].peer
            self.ends[place].site.process?.turn { $0.linkReady(peer: peer, now: $1) }
        }
    }

    /// One end learns that the connection is gone.
    private func disconnect(_ place: Int) {
        guard ends[place].isConnected else { return }
        ends[place].isConnected = false
        let inDoubt = ends[place].flying.flatMap { flying -> [Stanza] in
            if case .stanzas(let stanzas) = flying.load { stanzas } else { [] }
        }
        ends[place].flying = []
        ends[place].held = []
        let peer = ends[place].peer
        world.trace.record(world.now, "link down", number, place)
        ends[place].site.process?.turn { $0.linkDisconnected(peer: peer, unsent: [], inDoubt: inDoubt, now: $1) }
        if place == 0 { dial(after: Int64(world.random.between(100, 5_000)) * 1_000_000) }
    }

    func wanted(by site: SimulatedSite) {
        if place(site) == 0 { dial(after: 1_000_000) }
    }

    func failed(by site: SimulatedSite) {
        let place = place(site)
        let current = connection
        world.after(0) { [weak self] in
            guard let self, self.connection == current else { return }
            self.disconnect(place)
        }
        world.after(quality.delay + 1_000_000) { [weak self] in
            guard let self, self.connection == current else { return }
            self.disconnect(1 - place)
        }
    }

    func processStarted(_ site: SimulatedSite) { dial(after: 10_000_000) }

    func processGone(_ site: SimulatedSite, kernelLives: Bool) {
        let place = place(site)
        ends[place].isConnected = false
        ends[place].held = []
        ends[place].isHeld = false
        if !kernelLives { ends[place].flying = [] }
        ends[1 - place].isDead = true
        let current = connection
        let pause = kernelLives ? quality.delay + 1_000_000 : Int64(world.random.spread(1_000, 300_000)) * 1_000_000
        world.after(pause) { [weak self] in
            guard let self, self.connection == current else { return }
            self.disconnect(1 - place)
        }
        if place == 0 { dial(after: 1_000_000_000) }
    }

    // MARK: Sending

    func send(_ load: LinkLoad, from site: SimulatedSite) {
        let place = place(site)
        guard ends[place].isConnected else { return world.oracle.fail("a block was sent on a link that is down") }
        let size: Int
        switch load {
        case .block(let block, _):
            size = block.readableBytes
            world.trace.record(world.now, "block", number, place, size)
            world.trace.record(block)
            blocks += 1
        case .stanzas(let stanzas):
            size = stanzas.reduce(0) { $0 + $1.byteCount }
        }
        bytes += size
        let sent = max(world.now, ends[place].busyUntil) + Int64(size) * 1_000_000_000 / Int64(quality.bytesPerSecond)
        ends[place].busyUntil = sent
        let head = quality.isDatagram ? 0 : Int64(quality.ahead) * 1_000_000_000 / Int64(quality.bytesPerSecond)
        ready(place, at: max(world.now + 50_000, sent - head))
        guard !ends[place].isDead else { return }
        nextLoad += 1
        let id = nextLoad
        ends[place].flying.append((id, load))
        var arrivals = [sent + quality.delay]
        if quality.isDatagram {
            if world.random.chance(perMille: quality.loss) {
                world.statistics.count(.blockLost)
                arrivals = []
                ends[place].flying.removeLast()
            } else if world.random.chance(perMille: quality.duplication) {
                world.statistics.count(.blockDuplicated)
                arrivals.append(arrivals[0] + Int64(world.random.spread(1, 20_000)) * 1_000_000)
            }
            if !arrivals.isEmpty, world.random.chance(perMille: quality.overtaking) {
                world.statistics.count(.blockOvertaken)
                arrivals[0] += Int64(world.random.spread(10, 10_000)) * 1_000_000
            }
        }
        let current = connection
        for (count, time) in arrivals.enumerated() {
            world.at(time) { [weak self] in
                guard let self, self.connection == current else { return }
                self.arrive(id, load, from: place, isRepeat: count > 0)
            }
        }
    }

    private func arrive(_ id: UInt64, _ load: LinkLoad, from place: Int, isRepeat: Bool) {
        if let index = ends[place].flying.firstIndex(where: { $0.id == id }) {
            ends[place].flying.remove(at: index)
        } else if !isRepeat {
            return
        }
        let far = 1 - place
        guard ends[far].isConnected else { return }
        if ends[far].isHeld {
            ends[far].held.append(load)
        } else {
            give(load, to: far)
        }
    }

    private func give(_ load: LinkLoad, to place: Int) {
        let peer = ends[place].peer
        guard let process = ends[place].site.process else { return }
        switch load {
        case .block(let block, _):
            world.trace.record(world.now, "block in", number, place, block.readableBytes)
            process.turn { $0.linkBlockReceived(peer: peer, block, now: $1) }
        case .stanzas(let stanzas):
            process.turn { machine, now in
                for stanza in stanzas { machine.linkStanzaReceived(peer: peer, stanza, now: now) }
            }
        }
    }

    func held(by site: SimulatedSite, _ isHeld: Bool) {
        let place = place(site)
        ends[place].isHeld = isHeld
        guard !isHeld else { return }
        let current = connection
        world.after(10_000) { [weak self] in
            guard let self, self.connection == current else { return }
            while !self.ends[place].isHeld, let load = self.ends[place].held.popFirst() { self.give(load, to: place) }
        }
    }

    // MARK: Faults

    func cut(_ remains: LinkRemains, isSilent: Bool) {
        guard isConnected else { return }
        world.trace.record(world.now, "link cut", number, isSilent ? 1 : 0)
        var latest = world.now
        for place in 0...1 {
            ends[place].isDead = true
            let count = ends[place].flying.count
            let kept =
                switch remains {
                case .some: quality.isDatagram ? 0 : world.random.between(0, count)
                case .all(let direction): direction == place ? count : 0
                }
            ends[place].flying.removeLast(count - kept)
            if kept > 0 { latest = max(latest, ends[place].busyUntil + quality.delay) }
        }
        let current = connection
        for place in 0...1 {
            let pause = isSilent ? world.random.spread(1_000, 600_000) : world.random.spread(1, 2_000)
            world.at(max(latest + 1, world.now + Int64(pause) * 1_000_000)) { [weak self] in
                guard let self, self.connection == current else { return }
                self.disconnect(place)
            }
        }
    }

    func setUp(_ isUp: Bool) {
        self.isUp = isUp
        if !isUp { cut(.some, isSilent: false) } else { dial(after: 1_000_000) }
    }

    func heal() {
        quality.loss = 0
        quality.bytesPerSecond = max(quality.bytesPerSecond, 1_200)
        setUp(true)
    }
}
