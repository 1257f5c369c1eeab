import IdentifierFolding
import NIOCore
import Outbox
import Profiles
import XMPP

// Id folding: what waits for the link has tokens in the place of ids, everything on this side of the outbox has originals.
extension PeerStateMachine {
    /// Whether ids have to be looked at. Tokens that were given out are restored also after folding was switched off.
    private var looksAtIDs: Bool { policy.foldsIDs || identifiers.count > 0 }

    /// A stanza for the link. What is new of its tokens stands in the batch that holds its row.
    mutating func withTokens(_ stanza: Stanza, now: NIODeadline) -> Stanza {
        guard looksAtIDs else { return stanza }
        let folded = identifiers.outbound(stanza, now: clock.milliseconds(now))
        for record in identifiers.takeRecords() { journal.add(record) }
        return folded
    }

    /// A stanza of the peer, or an error about one that waited for the link, as the local side knows it.
    mutating func withoutTokens(_ stanza: Stanza, now: NIODeadline) -> Stanza {
        guard looksAtIDs else { return stanza }
        let restored = identifiers.inbound(stanza, now: clock.milliseconds(now))
        for record in identifiers.takeRecords() { journal.add(record) }
        return restored
    }

    /// Forgets the request of a local user that waited for the link, and returns it as he sent it; nil when it was answered
    /// already.
    mutating func takeLocalRequest(_ folded: Stanza, now: NIODeadline) -> Stanza? {
        var tracked: RequestTracker.Tracked?
        if looksAtIDs, let answer = folded.errorReply(.remoteServerTimeout) {
            tracked = localRequests.answerCrossed(withoutTokens(answer, now: now))
        } else {
            tracked = localRequests.remove(folded)
        }
        guard let tracked else { return nil }
        journal.remove(.localRequests, id: tracked.row)
        return tracked.request
    }

    static func makeIdentifiers(_ policy: PeerPolicy, recovered: RecoveredPeer, random: UInt64) -> IdentifierFolder {
        // The other end compares the same two names the other way round.
        let own = policy.localDomains.first?.string ?? ""
        let far = policy.remoteDomains.first?.description ?? ""
        var folder = IdentifierFolder(
            isHighSide: own > far, seed: random, recovered: policy.isJournaled ? recovered : RecoveredPeer())
        folder.isJournaled = policy.isJournaled
        rulesChanged(&folder, policy)
        return folder
    }

    static func rulesChanged(_ folder: inout IdentifierFolder, _ policy: PeerPolicy) {
        folder.makesTokens = policy.foldsIDs
        folder.foldsStanzaIDs = policy.foldsIDs && refusesArchives(policy)
    }

    /// Whether nobody asks archives over this link, as long as both sides have this profile: then ids of rooms are no places in an
    /// archive that somebody might remember for weeks.
    private static func refusesArchives(_ policy: PeerPolicy) -> Bool {
        guard let profile = policy.profile, let own = policy.localDomains.first, let far = policy.remoteDomains.first else {
            return false
        }
        var writer = StanzaWriter()
        writer.start(
            "iq", XMLNamespace.server,
            [("to", "room@\(far.description.replacing("*.", with: ""))"), ("from", "user@\(own)/r"), ("type", "set"), ("id", "q")])
        writer.start("query", "urn:xmpp:mam:2")
        writer.end()
        guard case .refuse = profile.apply(writer.finish(), direction: .out) else { return false }
        return true
    }
}
