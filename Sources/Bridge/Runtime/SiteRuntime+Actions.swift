import BridgeCore
import Logging
import NIOCore
import ServerStreams
import TLS
import Transports
import XMPP

// What the machines want, carried out.
extension SiteRuntime {
    func perform(_ action: LocalAction) {
        switch action {
        case .received(let stanza):
            counters.localStanzasReceived &+= 1
            if let probe { return probe.received(stanza) }
            guard let number = router.recipient(of: stanza) else { return reply(to: stanza, .remoteServerNotFound) }
            let peer = peers[number]
            peer.machine.localStanzaReceived(stanza, receipt: nil, now: .now())
            mark(peer)
        case .writeStanza(let id, let stanza):
            counters.localStanzasSent &+= 1
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(stanza)
        case .write(let id, let text):
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(text)
        case .oversize(let stub):
            counters.localOversize &+= 1
            reply(to: stub, .policyViolation, type: .modify)
        case .undeliverable(let stanza, let condition, let type):
            if let probe { return probe.undeliverable(stanza, condition) }
            guard let number = router.sender(of: stanza) else { return }
            let peer = peers[number]
            peer.machine.localDeliveryFailed(nil, stanza, condition, type, now: .now())
            mark(peer)
        case .startTLS(let id, let asServer, let domain, let peerName):
            startTLS(id, asServer: asServer, domain: domain, peerName: peerName)
        case .restartReader(let id): connections[id]?.restartReader()
        case .authenticated(let id):
            guard let connection = connections[id] else { return }
            connection.raiseLimits()
            if let place = connection.admission { admission.release(place) }
            connection.admission = nil
        case .dial(let token): dial(token)
        case .close(let id): connections[id]?.close(within: .seconds(5))
        case .arm(let deadline):
            localTimer?.cancel()
            localTimer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.local.deadlineReached(now: .now())
                self.endTurn()
            }
        case .disarm:
            localTimer?.cancel()
            localTimer = nil
        case .note(let note): log(note)
        }
    }

    func perform(_ action: PeerAction, _ peer: PeerRuntime) {
        switch action {
        case .deliver(let stanza, _): local.deliver(stanza, now: .now())
        case .sendBlock, .handled, .holdLink: break
        case .send(let batch): peer.link.send(batch)
        case .wantLink: peer.link.demandConnection()
        case .failLink(let error): peer.link.fail(error)
        case .arm(let deadline):
            peer.timer?.cancel()
            peer.timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                peer.machine.deadlineReached(now: .now())
                self.mark(peer)
                self.endTurn()
            }
        case .disarm:
            peer.timer?.cancel()
            peer.timer = nil
        case .note(let note):
            logger.notice("\(note)", metadata: ["peer": "\(peer.configuration.name)"])
        }
    }

    /// An answer of the bridge's own to a stanza of the local server, where one may be given.
    func reply(to stanza: Stanza, _ condition: StanzaErrorCondition, type: StanzaErrorType? = nil) {
        // No error ever goes to a room; presence is never worth one.
        guard stanza.kind != .presence, let sender = stanza.fromDomain, !configuration.rooms.contains(sender),
            let error = stanza.errorReply(condition, type: type)
        else { return }
        local.deliver(error, now: .now())
    }

    func startTLS(_ id: ConnectionID, asServer: Bool, domain: Domain, peerName: Domain?) {
        guard let connection = connections[id] else { return }
        guard let tls else {
            connection.failure = "TLS was asked for, but [site.tls] says off"
            return connection.close(within: .zero)
        }
        do {
            try connection.startTLS(tls.handler(asServer: asServer, domain: domain, peerName: peerName))
        } catch {
            connection.failure = NetworkFailure.describe(error)
            connection.close(within: .zero)
        }
    }

    func log(_ note: LocalNote) {
        probe?.noted(note)
        guard !note.isRepetition else { return }
        let level: Logger.Level =
            switch note.severity {
            case .information: .info
            case .warning: .warning
            case .error: .error
            }
        logger.log(
            level: level, "\(note.text)",
            metadata: note.connection.map { ["event": "\(note.kind.rawValue)", "connection": "\($0)"] }
                ?? ["event": "\(note.kind.rawValue)"])
    }
}
