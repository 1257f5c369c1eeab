import NIOCore

// What goes to the node when, and when a peer may give more.
extension SubnetworkStateMachine {
    /// Gives the node what it may have, one U_PDU of each peer after the other.
    mutating func handOver(now: NIODeadline) {
        var isAny = true
        while isAny {
            isAny = false
            for step in peers.indices {
                let number = (turn + step) % peers.count
                let peer = peers[number]
                guard peer.isUp, peer.sender.hasWaiting else { continue }
                if let uPDU = nextUPDU(of: peer, now: now) {
                    isAny = true
                    offer(uPDU, of: number, now: now)
                }
            }
        }
        if !peers.isEmpty { turn = (turn + 1) % peers.count }
        for number in peers.indices { drawSender(number) }
    }

    /// The most urgent that has room; what is urgent also has that which is kept for it.
    private mutating func nextUPDU(of peer: Peer, now: NIODeadline) -> RCOPUPDU? {
        let node = peer.configuration.node
        if hasRoom(peer) {
            let room = client.mayOffer(bytes: mtu, to: node) ? Int.max : client.credit(to: node)
            if room > 0, let uPDU = peer.sender.nextUPDU(maximumBytes: room, now: now) { return uPDU }
        }
        guard let urgent = peer.configuration.urgentPriority, peer.sender.hasWaiting(atLeast: urgent), hasUrgentRoom(peer)
        else { return nil }
        let room = client.mayOffer(bytes: mtu, to: node, isUrgent: true) ? Int.max : client.credit(to: node, isUrgent: true)
        return room > 0 ? peer.sender.nextUPDU(maximumBytes: room, atLeast: urgent, now: now) : nil
    }

    /// One U_PDU more may go over the window, so that its size does not matter.
    func hasRoom(_ peer: Peer) -> Bool {
        peer.inNode == 0 || peer.bytesInNode < peer.window.bytes && peer.inNode < SubnetworkPeerConfiguration.unitsInNode
    }

    /// What is less urgent may fill the window, and does so for minutes on a slow link.
    private func hasUrgentRoom(_ peer: Peer) -> Bool { hasRoom(peer) || peer.urgentBytesInNode < urgentReserve }

    private mutating func offer(_ uPDU: RCOPUPDU, of number: Int, now: NIODeadline) {
        let peer = peers[number]
        let service =
            peer.services[uPDU.unit] ?? peer.configuration.services.first { $0.connection == uPDU.connection }
            ?? peer.configuration.services[0]
        let id = nextID
        nextID += 1
        let bytes = uPDU.bytes.readableBytes
        let isUrgent = peer.configuration.urgentPriority.map { uPDU.priority >= $0 } ?? false
        if peer.inNode == 0 { peer.answeredAt = now }
        inside[id] = Inside(peer: number, ticket: uPDU.ticket, bytes: bytes, isUrgent: isUrgent, since: now)
        peer.inNode += 1
        peer.bytesInNode += bytes
        if isUrgent { peer.urgentBytesInNode += bytes }
        client.unitOffered(
            UnidataRequest(
                priority: uPDU.priority, destinationSAP: peer.configuration.sap, destination: peer.configuration.node,
                delivery: ServiceType(.arq, confirmation: service.confirmation), timeToLive: service.timeToLive,
                uPDU: uPDU.bytes),
            id: SISUnitID(id), isUrgent: isUrgent, now: now)
    }

    mutating func offerTurns() {
        for (number, peer) in peers.enumerated() where peer.isUp {
            let isIdle = peer.inNode == 0
            if peer.isReady {
                guard isIdle, peer.awaitsIdle else { continue }
                peer.awaitsIdle = false
                actions.append(.idle(number))
            } else if mayTake(peer) {
                peer.isReady = true
                peer.isReadyForUrgent = false
                peer.awaitsIdle = !isIdle
                actions.append(.ready(number, isIdle: isIdle))
            } else if !peer.isReadyForUrgent, mayTakeUrgent(peer) {
                peer.isReadyForUrgent = true
                actions.append(.readyForUrgent(number))
            }
        }
    }

    private func mayTake(_ peer: Peer) -> Bool {
        // A unit may be far from finished when nearly nothing of it is inside the node.
        !peer.sender.hasWaiting && !peer.sender.isHolding && peer.sender.takesUnits && hasRoom(peer)
            && client.mayOffer(bytes: 1, to: peer.configuration.node)
    }

    private func mayTakeUrgent(_ peer: Peer) -> Bool {
        guard let urgent = peer.configuration.urgentPriority else { return false }
        return !peer.sender.hasWaiting(atLeast: urgent) && !peer.sender.isHolding && peer.sender.takesUnits
            && hasUrgentRoom(peer) && client.mayOffer(bytes: 1, to: peer.configuration.node, isUrgent: true)
    }
}
