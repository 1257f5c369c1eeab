import BridgeCore
import CAllocationCounter
import Glibc
import NIOCore
import Outbox
import SampleTraffic
import XMPP

/// What remembering remote addresses costs: the growth of the process when 10 000 of them have exchanged presence and
/// messages with a local user and then fall silent.
enum IdleBench {
    static let addresses = 10_000

    static func run() {
        // Warm: the parser, the machine and the allocator have their ground size before counting starts.
        let site = Site()
        site.exchange(with: 0..<100)
        site.settle()
        skywave_trim_heap()
        let before = residentBytes()
        site.exchange(with: 100..<(100 + addresses))
        site.settle()
        skywave_trim_heap()
        let growth = max(residentBytes() - before, 0)
        report("idle-10000-remote-jids", Double(growth) / 1_048_576, "MiB")
        report("idle-per-remote-jid", Double(growth) / Double(addresses), "bytes")
        precondition(site.received == 3 * (100 + addresses), "idle: \(site.received) stanzas came through")
    }

    private static func residentBytes() -> Int {
        guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
        defer { unsafe fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}

/// One peer's machine with both its streams, the link and the local server's.
private final class Site {
    private let local = StreamReader(limits: .local, root: .implicit(XMLNamespace.server))
    private let link = StreamReader(limits: .link, root: .implicit(XMLNamespace.server))
    private var machine: PeerStateMachine
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private(set) var received = 0

    init() {
        machine = PeerStateMachine(
            policy: PeerPolicy(
                name: "bench", localDomains: [Domain("ship.example")].compactMap(\.self),
                remoteDomains: [DomainPattern("shore.example")].compactMap(\.self)),
            clock: ServiceClock(now: now), now: now, random: 1)
        machine.linkConnected(now: now)
        machine.linkReady(now: now)
    }

    func exchange(with numbers: Range<Int>) {
        for number in numbers {
            let remote = "remote\(number)@shore.example/desk"
            var inbound = ByteBuffer(
                string: "<presence from='\(remote)' to='anna@ship.example'><show>away</show></presence>"
                    + "<message from='\(remote)' to='anna@ship.example/desk' type='chat' id='m\(number)'>"
                    + "<body>hello</body></message>"
            )
            link.read(&inbound)
            while let event = link.nextEvent() {
                if case .stanza(let stanza) = event { machine.linkStanzaReceived(stanza, now: now) }
            }
            var outbound = ByteBuffer(
                string:
                    "<message from='anna@ship.example/desk' to='\(remote)' type='chat' id='a\(number)'>"
                    + "<body>hello</body></message>"
            )
            local.read(&outbound)
            while let event = local.nextEvent() {
                if case .stanza(let stanza) = event { machine.localStanzaReceived(stanza, receipt: nil, now: now) }
            }
            now = now + .milliseconds(30)
            perform()
        }
    }

    /// Time passes, everything that waited has gone.
    func settle() {
        for _ in 0..<4 {
            now = now + .minutes(31)
            machine.deadlineReached(now: now)
            perform()
        }
    }

    private func perform() {
        while let action = machine.nextAction() {
            switch action {
            case .send(let batch), .sendUrgent(let batch):
                received += batch.count
                machine.linkReady(now: now)
            case .deliver:
                received += 1
            case .arm, .disarm, .wantLink, .note, .failLink, .sendBlock, .handled, .holdLink, .stopReading:
                break
            }
        }
    }
}
