import XMPP

// What goes wrong, and what is broken on purpose.
extension Simulation {
    func inject(_ kind: FaultKind) {
        let site = random.pick(sites)
        let link = random.pick(links)
        trace.record(now, "fault", FaultKind.allCases.firstIndex(of: kind) ?? 0, site.index, 0, kind.rawValue)
        var isDone = true
        switch kind {
        case .linkCut:
            isDone = link.isConnected
            link.cut(.some, isSilent: false)
        case .linkSilent:
            isDone = link.isConnected
            link.cut(.some, isSilent: true)
        case .acknowledgementsLost:
            isDone = link.isConnected
            link.cut(.all(of: random.below(2)), isSilent: false)
        case .linkOutage:
            link.setUp(false)
            later(random.spread(1_000, 1_800_000)) { link.setUp(true) }
        case .processCrash:
            isDone = site.process != nil
            site.process?.fuse = random.spread(1, 200) - 1
        case .powerCut:
            isDone = site.process != nil
            site.crashed(kernelLives: false)
        case .cleanRestart:
            isDone = site.process != nil
            site.stop(restart: true)
        case .reload:
            isDone = site.process != nil
            site.reload()
        case .clockJump:
            let hours = random.pick([-876_000, -24, -1, 1, 24, 8_760, 100_000])
            site.wallOffset += Int64(hours) * 3_600_000
        case .diskFull:
            site.isDiskFull = true
            later(random.spread(500, 600_000)) { site.isDiskFull = false }
        case .slowCommit:
            site.isDiskSlow = true
            later(random.spread(1_000, 300_000)) { site.isDiskSlow = false }
        case .restoredBackup, .unnoticedRestore:
            isDone = site.process != nil && site.restoreBackup(isNoticed: kind == .restoredBackup)
        case .serverSlow:
            site.server.setSlow(true)
            later(random.spread(500, 180_000)) { site.server.setSlow(false) }
        case .serverRestart:
            isDone = site.server.isUp
            site.server.stop()
            later(random.spread(500, 300_000)) { [unowned self] in self.startServer(site) }
        case .localStreamCut:
            isDone = cutStream(of: site, longest: 2_000)
        case .localStreamDead:
            isDone = cutStream(of: site, longest: 300_000)
        case .radioCut, .nodeStopped, .emissionControl, .lateConfirmations:
            isDone = harm(kind, link as? SimulatedRadio)
        case .blockLost, .blockDuplicated, .blockOvertaken, .bootIn1970:
            isDone = false
        }
        if isDone { statistics.count(kind) }
    }

    private func harm(_ kind: FaultKind, _ radio: SimulatedRadio?) -> Bool {
        guard let radio else { return false }
        let side = radio.side(random.below(2))
        switch kind {
        case .radioCut:
            radio.setCut(true)
            later(random.spread(1_000, 1_800_000)) { radio.setCut(false) }
        case .nodeStopped:
            guard radio.isNodeRunning(side) else { return false }
            radio.setNode(side, isRunning: false)
            later(random.spread(500, 600_000)) { radio.setNode(side, isRunning: true) }
        case .emissionControl:
            radio.setSilent(side, true)
            later(random.spread(1_000, 1_800_000)) { radio.setSilent(side, false) }
        default:
            radio.holdAnswers(side, true)
            later(random.spread(1_000, 1_200_000)) { radio.holdAnswers(side, false) }
        }
        return true
    }

    private func later(_ milliseconds: Int, _ step: @escaping () -> Void) {
        after(Int64(milliseconds) * 1_000_000) { [unowned self] in
            if !self.isEnding { step() }
        }
    }

    private func cutStream(of site: SimulatedSite, longest: Int) -> Bool {
        guard let stream = site.server.stream(random.below(1_000)) else { return false }
        stream.socket.cut(
            bridgeLearnsAfter: Int64(random.spread(1, longest)) * 1_000_000,
            serverLearnsAfter: Int64(random.spread(1, longest)) * 1_000_000)
        return true
    }

    /// The server comes back, and so do its users.
    func startServer(_ site: SimulatedSite) {
        guard !site.server.isUp else { return }
        trace.record(now, "server start", site.index)
        site.server.start()
        for user in users where user.site === site {
            for room in rooms where user.views[room.index]?.isWanted == true {
                user.views[room.index] = .init(isWanted: true)
                join(user, room)
            }
        }
        // Those who are here and were in one of its rooms without a bridge between notice at once.
        for room in site.server.rooms {
            for user in users where user.site === site && user.views[room.index]?.isWanted == true
                && !room.contains(user.full)
            { join(user, room) }
        }
    }

    // MARK: Sabotage

    enum Damage {
        case none, drop, twice, swap, garble, error
    }

    /// What happens to a stanza that the bridge of site 0 writes to its server.
    func sabotaged(_ sabotage: Sabotage, _ stanza: Stanza) -> Damage {
        let isMessage = stanza.kind == .message && stanza.type == .chat
        let isAnswer = stanza.kind == .iq && stanza.isIQAnswer
        let isFromRoom = rooms.contains { stanza.from?.bare.description == $0.jid && $0.site.index != 0 }
        let (applies, damage): (Bool, Damage) =
            switch sabotage {
            case .dropsStanza: (isMessage, .drop)
            case .duplicatesStanza: (isMessage, .twice)
            case .swapsStanzas: (isMessage, .swap)
            case .garblesMessage: (isMessage, .garble)
            case .bouncesIntoRoom: (isFromRoom && stanza.kind == .message, .error)
            case .dropsAnswer: (isAnswer, .drop)
            case .answersTwice: (isAnswer, .twice)
            case .dropsRoomPresence: (isFromRoom && stanza.type == .unavailable, .drop)
            case .acknowledgesBeforeCommit, .keepsInbox, .keepsOutbox, .forgetsJournal, .damagesHistory, .losesRestored:
                (false, .none)
            }
        guard applies else { return .none }
        sabotageCount += 1
        let isAlways = sabotage == .swapsStanzas || sabotage == .dropsRoomPresence
        return isAlways || sabotageCount % 3 == 0 ? damage : .none
    }

    /// Gives a stanza to the server that it is addressed to, as if the bridge there had.
    func inject(_ bytes: [UInt8], for stanza: Stanza, from site: SimulatedSite) {
        guard let domain = stanza.toDomain?.string, let target = sites.first(where: { $0.owns(domain) }),
            let stream = target.server.stream(0)
        else { return }
        stanzaArrived(stanza, at: target, on: stream)
    }
}
