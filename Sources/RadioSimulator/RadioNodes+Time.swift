package import HFNode
import LinkCatalogue
package import NIOCore
import STANAG5066

extension RadioNodes {
    /// When ``deadlineReached(now:)`` is to be called, unless something else happens before.
    package var nextDeadline: NIODeadline? {
        [pair.nextDeadline, changes.first].compactMap(\.self).min()
    }

    package mutating func deadlineReached(now: NIODeadline) {
        advance(to: now)
    }

    /// Does all that is due until `time`, in the order of time.
    mutating func advance(to time: NIODeadline) {
        while let next = nextDeadline, next <= time {
            now = max(now, next)
            if let change = changes.first, change <= now {
                changes.removeFirst()
                applySilences()
            } else {
                pair.deadlineReached(now: now)
            }
            settle()
        }
        now = max(now, time)
    }

    // MARK: Emission control

    func isSilent(_ side: HFNodeSide) -> Bool { isSilentBySchedule[side.rawValue] || isSilentByOrder[side.rawValue] }

    mutating func applySilences() {
        for side in HFNodeSide.allCases {
            silenceChanged(side) { $0.isSilentBySchedule[side.rawValue] = $0.link.isSilent(side, at: $0.now - $0.start) }
        }
    }

    /// Emission control by whoever operates the node: it hears, and does not transmit.
    package mutating func emissionControlOrdered(_ side: HFNodeSide, isSilent: Bool, now: NIODeadline) {
        advance(to: now)
        silenceChanged(side) { $0.isSilentByOrder[side.rawValue] = isSilent }
        settle()
    }

    private mutating func silenceChanged(_ side: HFNodeSide, _ change: (inout RadioNodes) -> Void) {
        let before = isSilent(side)
        change(&self)
        let isSilent = isSilent(side)
        guard isSilent != before else { return }
        observe(.silenceChanged(side, isSilent: isSilent))
        let time = now
        let mustBeSilent = isSilent || !isRunning[side.rawValue]
        pair.withNode(side, now: time) { $0.emissionControlChanged(isSilent: mustBeSilent, now: time) }
        for id in bound[side.rawValue].values.sorted(by: { $0.number < $1.number }) {
            guard let client = clients[id] else { continue }
            client.server.primitiveOffered(Self.availability(isSilent: isSilent))
            takeActions(client)
        }
    }

    // MARK: Faults

    /// Nothing crosses the air, what is on it included, until it is put right.
    package mutating func linkCut(_ isCut: Bool, now: NIODeadline) {
        advance(to: now)
        guard pair.channel.isCut != isCut else { return }
        pair.channel.isCut = isCut
        observe(.linkCutChanged(isCut: isCut))
        if isCut { pair.airLost(now: self.now) }
        settle()
    }

    /// A node stops, as by a loss of power: its connections end, and all that it had is lost.
    package mutating func nodeStopped(_ side: HFNodeSide, now: NIODeadline) {
        advance(to: now)
        guard isRunning[side.rawValue] else { return }
        isRunning[side.rawValue] = false
        observe(.stopped(side))
        dropClients(of: side)
        replaceNode(side)
        settle()
    }

    /// A node that was stopped runs again, and knows nothing.
    package mutating func nodeStarted(_ side: HFNodeSide, now: NIODeadline) {
        advance(to: now)
        guard !isRunning[side.rawValue] else { return }
        isRunning[side.rawValue] = true
        observe(.started(side))
        replaceNode(side)
        settle()
    }

    private mutating func replaceNode(_ side: HFNodeSide) {
        starts[side.rawValue] += 1
        controls[side.rawValue] = link.rateControl(side)
        let chance = seed &+ starts[side.rawValue] &* 0x9E37_79B9_7F4A_7C15
        var node = HFNodeMachine(
            configuration: link.nodeConfiguration(side, address: address(side), seed: chance), timing: link.timing)
        if !isRunning[side.rawValue] || isSilent(side) { node.emissionControlChanged(isSilent: true, now: now) }
        pair.nodeReplaced(side, with: node, now: now)
    }
}
