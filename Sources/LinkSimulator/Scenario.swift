import Blocks
import BridgeCore
import NIOCore
import PresenceCache
import ServerStreams
import XMPP

/// Everything about a run that is decided before it begins, all of it from the seed.
struct Scenario {
    struct Site {
        var hasManagement: Bool
        var resends: Bool
        var users: Int
        var rooms: Int
    }

    struct Fault {
        var time: Int64
        var kind: FaultKind
    }

    struct Link {
        var one: Int
        var other: Int
        var quality: SimulatedLink.Quality
        /// Nodes and a radio, instead of a link of this quality.
        var radio: RadioTerms?
    }

    enum Act {
        case message, request, presence, join, leave, roomMessage, burst, large, broadcast
    }

    var sites: [Site] = []
    /// The sites that each link joins.
    var links: [Link] = []
    /// When traffic and faults end.
    var duration: Int64
    var acts: [(time: Int64, act: Act)] = []
    var faults: [Fault] = []
    var requestTimeout: TimeAmount
    var messageLifetime: TimeAmount
    var knowsRooms: Bool
    var cutsReads: Bool
    var multiplexes: Bool
    var blockBytes: Int
    var hold: HoldPolicy
    var inboxWindow: Int
    var journalsPresence: Bool
    var foldsIDs = false
    var cachesPresence = false
    private let jitter: UInt64

    init(_ random: inout SimulationRandom) {
        let count = random.chance(perMille: 200) ? 3 : 2
        for _ in 0..<count {
            sites.append(
                Site(
                    hasManagement: random.chance(perMille: 650), resends: random.chance(perMille: 500),
                    users: random.between(1, 3), rooms: random.chance(perMille: 600) ? 1 : 0))
        }
        for one in 0..<count {
            for other in one + 1..<count { links.append(Link(one: one, other: other, quality: Scenario.quality(&random))) }
        }
        duration = Int64(random.spread(60, 3_600)) * 1_000_000_000
        requestTimeout = .seconds(Int64(random.pick([30, 60, 300])))
        messageLifetime = random.chance(perMille: 150) ? .minutes(Int64(random.between(2, 20))) : .hours(24)
        knowsRooms = random.chance(perMille: 700)
        cutsReads = random.chance(perMille: 200)
        multiplexes = random.chance(perMille: 200)
        blockBytes = random.pick([256, 1_024, 16_384])
        hold = random.pick([.time(.zero), .time(.milliseconds(20)), .time(.seconds(2)), .turn])
        inboxWindow = random.pick([4, 256])
        journalsPresence = random.chance(perMille: 200)
        jitter = random.next()
        makeActs(&random)
        makeFaults(&random)
        makeCrowd()
        chooseMemory()
        chooseRadio()
    }

    /// Whether bridges fold ids and remember presence.
    private mutating func chooseMemory() {
        var random = SimulationRandom(seed: ~jitter)
        foldsIDs = random.chance(perMille: 600)
        cachesPresence = random.chance(perMille: 600)
    }

    /// One run in ten goes over HF nodes. Drawn from a generator of its own, so that other runs stay what they were.
    private mutating func chooseRadio() {
        var random = SimulationRandom(seed: jitter &* 0x9E37_79B9_7F4A_7C15)
        guard random.chance(perMille: 100) else { return }
        links[0].radio = RadioTerms(&random)
        for index in links.indices.dropFirst() where random.chance(perMille: 500) { links[index].radio = RadioTerms(&random) }
        let kinds: [FaultKind] = [.radioCut, .radioCut, .nodeStopped, .emissionControl, .lateConfirmations]
            .filter { _ in random.chance(perMille: 650) }
        guard !kinds.isEmpty else { return }
        for _ in 0..<random.spread(1, 8) {
            faults.append(Fault(time: Int64(random.below(Int(duration / 1_000))) * 1_000, kind: random.pick(kinds)))
        }
    }

    private static func quality(_ random: inout SimulationRandom) -> SimulatedLink.Quality {
        var quality = SimulatedLink.Quality()
        quality.isDatagram = random.chance(perMille: 350)
        quality.bytesPerSecond = random.pick([75, 150, 300, 1_200, 12_000, 1_000_000])
        quality.delay = Int64(random.spread(1, 8_000)) * 1_000_000
        quality.ahead = random.pick([256, 4_096, 65_536])
        if quality.isDatagram {
            quality.loss = random.pick([0, 20, 100, 300])
            quality.duplication = random.pick([0, 20, 200])
            quality.overtaking = random.pick([0, 50, 300])
        }
        return quality
    }

    private mutating func makeActs(_ random: inout SimulationRandom) {
        let count = random.spread(10, 150)
        let weights: [(Act, Int)] = [
            (.message, 520), (.request, 130), (.presence, 80), (.join, 70), (.leave, 30), (.roomMessage, 120),
            (.burst, 40), (.large, 10),
        ]
        for _ in 0..<count {
            var place = random.below(1_000)
            for (act, weight) in weights {
                if place < weight {
                    acts.append((Int64(random.below(Int(duration / 1_000_000))) * 1_000_000, act))
                    break
                }
                place -= weight
            }
        }
    }

    /// In some runs sites have more people, and much is for many of them. Drawn from a generator of its own, so that other
    /// runs stay what they were.
    private mutating func makeCrowd() {
        var random = SimulationRandom(seed: jitter)
        guard random.chance(perMille: 300) else { return }
        for site in sites.indices {
            sites[site].users = random.between(3, 12)
            sites[site].rooms = max(sites[site].rooms, random.below(2))
        }
        for _ in 0..<random.spread(3, 40) {
            let act = random.pick([Act.broadcast, .broadcast, .join, .join, .roomMessage])
            acts.append((Int64(random.below(Int(duration / 1_000_000))) * 1_000_000, act))
        }
    }

    private mutating func makeFaults(_ random: inout SimulationRandom) {
        // One run in twenty is left in peace.
        guard !random.chance(perMille: 50) else { return }
        let weights: [(FaultKind, Int)] = [
            (.linkCut, 200), (.linkOutage, 80), (.linkSilent, 60), (.acknowledgementsLost, 60), (.processCrash, 150),
            (.powerCut, 60), (.cleanRestart, 60), (.reload, 30), (.clockJump, 40), (.diskFull, 40), (.slowCommit, 40),
            (.serverSlow, 50), (.serverRestart, 40), (.localStreamCut, 70), (.localStreamDead, 20),
        ]
        let kinds = weights.filter { _ in random.chance(perMille: 550) }
        let sum = kinds.reduce(0) { $0 + $1.1 }
        let count = random.spread(1, 16)
        for _ in 0..<count where sum > 0 {
            var place = random.below(sum)
            for (kind, weight) in kinds {
                if place < weight {
                    faults.append(Fault(time: Int64(random.below(Int(duration / 1_000))) * 1_000, kind: kind))
                    break
                }
                place -= weight
            }
        }
        if random.chance(perMille: 40) {
            let kind: FaultKind = random.chance(perMille: 600) ? .restoredBackup : .unnoticedRestore
            faults.append(Fault(time: duration / 2 + Int64(random.below(Int(duration / 3_000))) * 1_000, kind: kind))
        }
    }

    /// The configuration of one site's bridge.
    func configuration(of site: SimulatedSite, among all: [SimulatedSite]) -> SiteMachineConfiguration {
        let own = site.domains.compactMap { Domain($0) }
        let others = site.links.map { $0.other(site) }
        var local = LocalSideConfiguration(
            localDomains: own, remoteDomains: others.flatMap { $0.domains.compactMap { DomainPattern($0) } })
        local.encryption = .off
        local.authentication = .dialback
        local.jitterSeed = jitter &+ UInt64(site.index)
        local.multiplexesSenderDomains = multiplexes
        let peers = others.enumerated().map { place, other in
            var policy = PeerPolicy(
                name: "s\(other.index)", localDomains: own,
                remoteDomains: other.domains.compactMap { DomainPattern($0) },
                roomDomains: knowsRooms ? [site, other].compactMap { Domain($0.domains[1]) } : [])
            policy.dialect = .skywave
            policy.isJournaled = true
            policy.iqTimeout = requestTimeout
            policy.messageLifetime = messageLifetime
            policy.foldsIDs = foldsIDs
            policy.cachesPresence = cachesPresence
            policy.spacesPresence = false
            policy.presence.minimumInterval = .seconds(20)
            policy.blockBytes = blockBytes
            policy.hold = hold
            policy.inboxWindow = inboxWindow
            policy.journalsPresence = journalsPresence
            policy.linkSession.level = 1
            site.link(place).adapt(&policy, self)
            vary(&policy, site.policyVariant)
            return policy
        }
        var configuration = SiteMachineConfiguration(local: local, peers: peers)
        configuration.rooms = own.count > 1 ? [own[1]] : []
        return configuration
    }

    /// What a reload changes.
    private func vary(_ policy: inout PeerPolicy, _ variant: Int) {
        switch variant {
        case 1: policy.iqTimeout = .seconds(45)
        case 2: policy.maximumRequests = 1_000
        case 3: policy.foldsIDs.toggle()
        default: break
        }
    }
}
