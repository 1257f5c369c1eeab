import BridgeCore
import Outbox
import XMPP

// What must be true when the world has come to rest.
extension Simulation {
    /// After the faults, before the bridges stop.
    func checkQuiet() {
        for site in sites {
            if site.process == nil { oracle.fail("the bridge of site \(site.index) is not running at the end") }
            if !site.server.isQuiet { oracle.fail("stanzas wait in the server of site \(site.index) for its bridge") }
            if site.waiting > 0 {
                oracle.fail("\(site.waiting) stanzas wait in site \(site.index): \(site.debugState)")
            }
        }
        checkRooms()
    }

    /// A user is in a room if and only if both say so, and both know the same others.
    private func checkRooms() {
        for room in rooms {
            for user in users where user.site !== room.site {
                let key = DeliveryKey.room(user: user.index, room: room.index)
                let isRestored = oracle.wasRestored(user.site.index) || oracle.wasRestored(room.site.index)
                guard !oracle.roomTaints.contains(key), !isRestored else { continue }
                let view = user.views[room.index] ?? .init()
                let isThere = room.contains(user.full)
                if isThere != view.isJoined {
                    let text = isThere ? "the room has him, the client knows nothing of it" : "only the client thinks so"
                    oracle.fail("user \(user.index) in room \(room.index): \(text)")
                } else if isThere, view.nicks.sorted() != room.nicks {
                    oracle.fail(
                        "user \(user.index) sees \(view.nicks.sorted()) in room \(room.index), there are \(room.nicks)")
                }
            }
        }
    }

    /// After the bridges have stopped.
    func checkStopped() {
        for site in sites {
            if site.process != nil { oracle.fail("the bridge of site \(site.index) did not stop") }
            site.checkBounds()
            for (number, peer) in site.journal.peers.enumerated() {
                for table in [JournalTable.outbox, .normalNumbers, .expressNumbers, .inbox, .localRequests,
                    .remoteRequests, .fragments]
                where peer.count(table) > 0 {
                    oracle.fail("\(peer.count(table)) rows of \(table) stay in site \(site.index) for peer \(number)")
                }
                if peer.count(.poison) > 0 {
                    oracle.fail("\(peer.count(.poison)) stanzas were set aside in site \(site.index)")
                }
            }
        }
        if sabotage == .damagesHistory { damageHistory() }
        checkHistories()
    }

    private func damageHistory() {
        for row in sites[0].journal.peers[0].rows(.sentText) {
            var damaged = row
            if !damaged.payload.isEmpty { damaged.payload[damaged.payload.count / 2] ^= 1 }
            sites[0].journal.peers[0].tables[Int(JournalTable.sentText.rawValue)][row.id] = damaged
        }
    }

    /// Where both ends of a link keep the same stretch of text, it is the same text.
    private func checkHistories() {
        for link in links {
            for site in sites where site.links.contains(where: { $0 === link }) {
                let other = link.other(site)
                let sent = site.journal.peers[site.peer(of: link)].rows(.sentText)
                let received = other.journal.peers[other.peer(of: link)].rows(.receivedText)
                if !Simulation.agree(sent, received) {
                    oracle.fail("the histories of the link from site \(site.index) to \(other.index) differ")
                }
            }
        }
    }

    private static func agree(_ sent: [RecoveredPeer.Row], _ received: [RecoveredPeer.Row]) -> Bool {
        for one in sent {
            let oneStart = Int(one.id) - one.payload.count
            for other in received {
                let otherStart = Int(other.id) - other.payload.count
                let start = max(oneStart, otherStart)
                let end = min(Int(one.id), Int(other.id))
                guard start < end else { continue }
                guard one.payload[start - oneStart..<end - oneStart] == other.payload[start - otherStart..<end - otherStart]
                else { return false }
            }
        }
        return true
    }
}

extension SimulatedSite {
    /// Stanzas that wait in the bridge or in its journal.
    var waiting: Int {
        var count = 0
        for (number, peer) in journal.peers.enumerated() {
            for table in [JournalTable.outbox, .inbox, .localRequests, .remoteRequests] { count += peer.count(table) }
            if let process { count += process.machine.peerSnapshot(number).queuedStanzas }
        }
        return count
    }

    var debugState: String { process?.machine.debugState ?? "not running" }
}
