import BridgeCore
import Logging
import NIOCore
import Outbox
import ServerStreams
import Store
import TLS
import Transports
import XMPP

// What the machines want, carried out.
extension SiteRuntime {
    func perform(_ action: SiteAction) {
        switch action {
        case .local(let action): perform(action)
        case .link(let peer, let action): perform(action, peers[peer])
        case .holdLink(let peer, true): peers[peer].link.pauseReading()
        case .holdLink(let peer, false): peers[peer].link.resumeReading()
        case .commit(let number, let batches): commit(number, batches)
        case .arm(let deadline):
            timer?.cancel()
            timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.site.deadlineReached(now: .now())
                self.endTurn()
            }
        case .disarm:
            timer?.cancel()
            timer = nil
        case .note(let note): log(note)
        }
    }

    private func perform(_ action: LocalAction) {
        switch action {
        case .writeStanza(let id, let stanza):
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(stanza)
        case .write(let id, let text):
            guard let connection = connections[id] else { return }
            if !connection.hasOutgoing { written.append(connection) }
            connection.write(text)
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
        case .note(let note): log(note)
        case .received(let stanza, _): probe?.received(stanza)
        case .undeliverable(let stanza, _, let condition, _): probe?.undeliverable(stanza, condition)
        case .oversize, .delivered, .streamOpened, .streamLost, .arm, .disarm: break
        }
    }

    private func perform(_ action: PeerAction, _ peer: PeerRuntime) {
        switch action {
        case .send(let batch): peer.link.send(batch)
        case .sendUrgent(let batch): peer.link.sendUrgent(batch)
        case .sendBlock(let block, let isUrgent): peer.link.send(block: block, isUrgent: isUrgent)
        case .wantLink: peer.link.demandConnection()
        case .failLink(let error): peer.link.fail(error)
        case .note(let note):
            logger.notice("\(note)", metadata: ["peer": "\(peer.configuration.name)"])
        case .deliver, .handled, .holdLink, .stopReading, .arm, .disarm: break
        }
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

    private func commit(_ number: UInt64, _ batches: [PeerJournalBatch]) {
        guard let journal else { preconditionFailure("a commit without a journal") }
        let named = batches.map { NamedBatch(peer: configuration.peers[$0.peer].name, batch: $0.batch) }
        journal.writer.commit(named, serviceTime: clock.milliseconds(.now()), on: eventLoop)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let outcome):
                    self.journalFailure = nil
                    self.site.committed(number, isSpaceLow: outcome.isSpaceLow, now: .now())
                case .failure(let error):
                    self.journalFailure = "\(error)"
                    self.site.commitFailed(now: .now())
                }
                self.endTurn()
            }
    }

    private func log(_ note: SiteNote) {
        switch note {
        case .serverReadsSlowly:
            logger.warning("the local server reads too slowly; stanzas for it are queued now")
        case .journalStalled:
            logger.error(
                """
                the journal takes nothing new: \(journalFailure ?? "space on the disk runs out"); until it does, stanzas of \
                the server are refused with resource-constraint
                """, metadata: ["directory": "\(configuration.state)"])
        case .journalRecovered(let span):
            logger.notice("the journal takes everything again", metadata: ["after": "\(SiteStatus.span(span))"])
        case .newEpoch(let peer):
            logger.notice(
                "the journal is new, restored or repaired: numbering starts anew",
                metadata: ["peer": "\(configuration.peers[peer].name)"])
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
