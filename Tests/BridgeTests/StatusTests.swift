import Foundation
import NIOCore
import Outbox
import STANAG5066
import Testing
import XMPP

@testable import Bridge
@testable import BridgeCore
@testable import ServerStreams
@testable import Transports

/// What operators and collectors read of a site.
@Suite struct StatusTests {
    private static let now = NIODeadline.uptimeNanoseconds(10_000_000_000_000)

    /// A peer with something in every place, and text from outside where text can come from outside.
    private static func peer(hostile: String = "plain") -> SiteStatus.Peer {
        var core = PeerStatus(
            name: "shore", link: .ready, sent: .init(), received: .init(), queuedStanzas: 3, queuedBytes: 700,
            oldestArrival: now - .seconds(100), pendingLocalRequests: 1, pendingRemoteRequests: 2, knownLocalRooms: 0,
            knownRemoteRooms: 1, supersededPresences: 4, expiredPresences: 5,
            events: [.init(event: .journalStalled, count: 6)],
            bounces: [.init(condition: .resourceConstraint, count: 7)])
        core.classes = StanzaClass.allCases.map {
            .init(
                stanzaClass: $0, stanzas: $0 == .message ? 3 : 0, bytes: $0 == .message ? 700 : 0,
                oldestArrival: $0 == .message ? now - .seconds(100) : nil)
        }
        core.linkSince = now - .seconds(65)
        core.inFlightStanzas = 2
        core.inFlightBytes = 300
        core.acknowledgedStanzas = 41
        core.inboxStanzas = 3
        core.inboxBytes = 900
        core.inboxInDoubt = 1
        core.poison = [.init(id: 9, bytes: 77, reason: hostile, since: 0)]
        core.session = .init(
            epoch: 0xABC, number: 3, isPeerRecognised: true, unacknowledgedBlocks: 1, remark: hostile)
        core.lastFailure = "the peer said \(hostile)"
        var link = LinkStatus(peer: "shore", state: .connected, since: now - .seconds(64))
        link.connections = [
            .init(description: "dialled 10.1.2.3:5270", since: now, sends: true, bytesReceived: 0, bytesSent: 0)
        ]
        link.bytesSent = 1_000
        link.bytesReceived = 2_000
        link.reconnects = 8
        link.lastError = "Something happened \(hostile)."
        var bind = NodeBindStatus(node: "10.7.0.9:5066", sap: .rcop)
        (bind.strangers, bind.refused) = (16, 17)
        bind.drops = [.init(reason: .foreignApplication, count: 18), .init(reason: .badChecksum, count: 19)]
        link.bind = bind
        return SiteStatus.Peer(name: "shore", domains: ["hq.example"], core: core, link: link)
    }

    private static func status(hostile: String = "plain") throws -> SiteStatus {
        let remote = try #require(Domain("hq.example"))
        let local = LocalSideStatus(
            streams: [], queues: [
                .init(remote: remote, local: nil, state: "dialling", stanzas: 1, bytes: 9, lastError: hostile)
            ], queuedStanzas: 1, queuedBytes: 9, stanzasInDoubt: 14, repeatedStanzas: 15, recentProblems: [],
            counts: LocalNote.Kind.allCases.map { ($0, 1) })
        return SiteStatus(
            version: "1.2.3", takenAt: now, uptime: .seconds(3_700), domains: [try #require(Domain("ship7.example"))],
            server: "127.0.0.1:5269", attachment: "s2s", local: local, localConnections: 2, refusedConnections: 0,
            stanzasFromServer: 10, bytesFromServer: 5_000, stanzasToServer: 11, linkPauses: 0,
            journalMode: .durable, journal: .init(commits: 12, failedCommits: 0, stalledSince: nil, isUnderWay: false), journalFailure: nil,
            stateDirectory: "/var/lib/skywave", closedListeners: [], isStopping: false, peers: [peer(hostile: hostile)])
    }

    @Test func `the text says what waits, for how long, what is in flight, and what to do`() throws {
        let text = try Self.status().text
        for part in [
            "skywave 1.2.3, up 1 h 1 min", "peer shore (hq.example): Connected: dialled 10.1.2.3:5270; up for 1 min 5 s",
            "message        3    700  1 min 40 s", "in flight: 2 stanzas, 300 bytes; 41 acknowledged by the peer",
            "for the local server: 3 stanzas, 900 bytes; 1 of them given to it and not confirmed",
            "14 stanzas in doubt because a stream with the server broke, 15 repeats",
            "problem: The peer said plain.", "problem: Before this connection: Something happened plain.",
            "Set aside because it could not be read: 1 stanza", "8 reconnects",
            "through the node in vain: 16 × unit of no peer, 17 × unit damaged or for another SAP, 18 × foreign application, "
                + "19 × bad checksum", "journal: 12 commits", "6 × stanza refused because the journal",
        ] {
            #expect(text.contains(part), "\(part) in \(text)")
        }
    }

    @Test func `where stanzas are spoken, what the node has not confirmed is in flight`() throws {
        var peer = Self.peer()
        peer.core.session = nil
        peer.link.stanzasUnacknowledged = 2
        let lines = peer.lines(now: Self.now).joined(separator: "\n")
        #expect(lines.contains("in flight: 2 stanzas, 300 bytes; 41 confirmed by the node"))
        #expect(!lines.contains("in doubt, should the connection break"))
        // A TCP connection confirms none.
        peer.core.inFlightStanzas = 0
        peer.core.acknowledgedStanzas = 0
        #expect(peer.lines(now: Self.now).joined().contains("in doubt, should the connection break now: 2 stanzas"))
    }

    @Test func `every problem is one sentence, and says what to do next`() throws {
        var status = try Self.status()
        #expect(status.healthProblem == nil)
        status.journal.stalledSince = Self.now - .seconds(90)
        status.journalFailure = "disk full"
        let stall = try #require(status.healthProblem)
        #expect(stall.contains("1 min 30 s (disk full)") && stall.contains("make room on the disk of /var/lib/skywave"))
        status.closedListeners = ["127.0.0.2:5269"]
        #expect(status.healthProblem?.contains("127.0.0.2:5269") == true)
        status.isStopping = true
        #expect(status.healthProblem == "The bridge is stopping.")
        let problems = try Self.status().problems + Self.peer().problems(now: Self.now) + [stall]
        #expect(problems.count >= 4)
        for problem in problems {
            #expect(problem.hasSuffix("."), "\(problem)")
            #expect(problem.first?.isUppercase == true || problem.hasPrefix("hq.example"), "\(problem)")
        }
    }

    @Test func `text from outside can disturb neither a terminal nor a program`() throws {
        let hostile = "\u{1B}[2J\nproblem: forged \u{202E}gpj\u{9B}\"}"
        let status = try Self.status(hostile: hostile)
        for scalar in status.text.unicodeScalars where scalar != "\n" {
            #expect(scalar.value >= 0x20 && scalar.value != 0x7F && !(0x80...0x9F).contains(scalar.value))
            #expect(scalar != "\u{202E}")
        }
        #expect(!status.text.contains("\nproblem: forged"))
        let json = status.json.text
        #expect(!json.contains("\n") && !json.contains("\u{1B}"))
        let parsed = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
        let peers = try #require(parsed?["peers"] as? [[String: Any]])
        let aside = try #require(peers[0]["set-aside"] as? [[String: Any]])
        #expect(aside[0]["reason"] as? String == hostile, "programs get it as it was")
        let node = try #require((peers[0]["link"] as? [String: Any])?["node"] as? [String: Any])
        #expect(node["address"] as? String == "10.7.0.9:5066" && node["sap"] as? Int == 6)
        #expect(node["stranger-units"] as? Int == 16 && node["refused-units"] as? Int == 17)
        #expect(node["rcop-drops"] as? [String: Int] == ["foreign-application": 18, "bad-checksum": 19])
        #expect(!status.metrics.contains("forged"))
    }

    @Test func `JSON has its members in the same order every time`() throws {
        let status = try Self.status()
        #expect(status.json.text == (try Self.status()).json.text)
        guard case .object(let members) = status.json else {
            Issue.record("no object")
            return
        }
        #expect(
            members.map(\.0) == [
                "version", "uptime-seconds", "domains", "local", "healthy", "journal", "problems", "peers",
            ])
        #expect(JSONText.number(3.14159).text == "3.14" && JSONText.number(-0.05).text == "-0.05")
        #expect(JSONText.number(.nan).text == "null" && JSONText.number(2).text == "2.00")
    }

    // MARK: Metrics

    @Test func `the document lists exactly the metrics that are exposed`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = try Files.readText(root.path + "/docs/metrics.md")
        let rows = document.split(separator: "\n").filter { $0.hasPrefix("| `skywave_") }.map(String.init)
        #expect(rows == MetricFamily.all.map(\.documentation))
        #expect(Set(MetricFamily.all.map(\.name)).count == MetricFamily.all.count)
    }

    @Test func `every documented metric is exposed, with its labels and nothing else`() throws {
        var lines: Set<String> = []
        for session in [true, false] {
            var status = try Self.status()
            if !session { status.peers[0].core.session = nil }
            var family: MetricFamily?
            for line in status.metrics.split(separator: "\n") {
                if line.hasPrefix("# HELP ") {
                    let name = line.split(separator: " ")[2]
                    family = MetricFamily.all.first { $0.name == name }
                    lines.insert(String(name))
                }
                guard !line.hasPrefix("#") else { continue }
                let known = try #require(family)
                let brace = line.firstIndex(of: "{")
                let name = line[..<(brace ?? line.firstIndex(of: " ") ?? line.endIndex)]
                #expect(name == known.name, "values stand under their family")
                let labels = line.matches(of: /([a-z_]+)="/).map { String($0.1) }
                #expect(labels == known.labels, "\(line)")
                #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
            }
        }
        #expect(lines == Set(MetricFamily.all.map(\.name)))
        let metrics = try Self.status().metrics
        for sample in [
            "skywave_outbox_stanzas{peer=\"shore\",class=\"message\"} 3",
            "skywave_outbox_oldest_seconds{peer=\"shore\",class=\"message\"} 100",
            "skywave_link_up{peer=\"shore\"} 1", "skywave_healthy 1", "skywave_inbox_in_doubt_stanzas{peer=\"shore\"} 1",
            "skywave_peer_events_total{peer=\"shore\",event=\"journal_stalled\"} 6",
            "skywave_bounces_total{peer=\"shore\",condition=\"resource-constraint\"} 7",
            "skywave_node_stranger_units_total{node=\"10.7.0.9:5066\",sap=\"6\"} 16",
            "skywave_node_refused_units_total{node=\"10.7.0.9:5066\",sap=\"6\"} 17",
            "skywave_link_rcop_drops_total{peer=\"shore\",reason=\"foreign_application\"} 18",
            "skywave_link_rcop_drops_total{peer=\"shore\",reason=\"bad_checksum\"} 19",
        ] {
            #expect(metrics.contains(sample + "\n"), "\(sample)")
        }
    }

    @Test func `the labels of events and drops are different words`() {
        let events = PeerEvent.allCases.map { $0.words(joinedBy: "_") }
        let drops = RCOPDropReason.allCases.map { $0.words(joinedBy: "_") }
        for labels in [events, drops] {
            #expect(Set(labels).count == labels.count)
            #expect(labels.allSatisfy { $0.allSatisfy { $0.isASCII && ($0.isLowercase || $0 == "_") } }, "\(labels)")
        }
    }

    @Test func `a bind that peers share is counted once, their drops each by itself`() throws {
        var status = try Self.status()
        var other = Self.peer()
        other.name = "other"
        other.link.bind?.drops = [.init(reason: .duplicate, count: 3)]
        var elsewhere = Self.peer()
        elsewhere.name = "elsewhere"
        elsewhere.link.bind?.sap = .udop
        status.peers += [other, elsewhere]
        let lines = status.metrics.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("skywave_node_stranger_units_total{") } == 2)
        #expect(lines.count { $0.hasPrefix("skywave_node_refused_units_total{") } == 2)
        #expect(lines.contains("skywave_link_rcop_drops_total{peer=\"other\",reason=\"duplicate\"} 3"))
        #expect(lines.count { $0.hasPrefix("skywave_link_rcop_drops_total{") } == 5)
        for number in status.peers.indices { status.peers[number].link.bind = nil }
        #expect(!status.metrics.contains("skywave_node_") && !status.metrics.contains("rcop"))
    }
}
