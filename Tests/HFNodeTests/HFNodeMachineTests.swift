import HFNode
import NIOCore
import STANAG5066
import SeededRandom
import Testing

struct HFNodeMachineTests {
    private static let peer = address("10.0.0.2")

    @Test func `bursts never announce more than 127.5 s, and the end of transmission falls`() throws {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        for _ in 0..<60 { run.send(.first, size: 2048) }
        run.run(for: .minutes(10))
        let data = run.bursts.filter { $0.burst.elements.count > 5 }
        #expect(!data.isEmpty)
        for (_, burst, _) in data {
            var last = 256
            for element in burst.elements {
                let received = try ReceivedDPDU(decoding: element.bytes)
                let end = Int(received.dpdu.endOfTransmission)
                #expect(end <= last && end <= 255)
                last = end
            }
            #expect(burst.dataDuration <= .milliseconds(127_500))
            #expect(burst.dataDuration >= .seconds(100), "the first transmissions are full")
            break
        }
    }

    @Test func `urgent units overtake, equal ones keep their order`() {
        let run = PairRun(.short(300), channel: ClearBurstChannel())
        let routine = (0..<10).map { _ in run.send(.first, size: 1500, priority: 1) }
        run.run(for: .seconds(60))
        let urgent = (0..<3).map { _ in run.send(.first, size: 100, priority: 9) }
        run.run(for: .hours(1))
        let arrived = run.numbersArrived(.second)
        #expect(arrived.filter(routine.contains) == routine)
        #expect(arrived.filter(urgent.contains) == urgent)
        let last = arrived.lastIndex { urgent.contains($0) } ?? arrived.count
        #expect(last < 8, "they do not wait for all that was there before")
    }

    @Test func `a unit that dies on the way is given up on both sides, the next ones arrive`() {
        var channel = LossyChannel(seed: 3)
        channel.elementLoss = 0.5
        let run = PairRun(.short(75), channel: channel) { $0.lossPolicy = .keep }
        let dying = run.send(.first, size: 2000, timeToLive: 100)
        let living = (0..<3).map { _ in run.send(.first, size: 100) }
        run.run(for: .hours(3))
        #expect(run.rejected[.first] == [dying: .timeToLiveExpired])
        #expect(run.numbersArrived(.second) == living)
        #expect(run.confirmed[.first] == living)
    }

    @Test func `a full queue turns the flow off, an emptier one on`() {
        let run = PairRun(.short(2400), channel: ClearBurstChannel()) { $0.queueBytes = 20_000 }
        for _ in 0..<10 { run.send(.first, size: 2000) }
        #expect(run.flow[.first] == [false])
        run.run(for: .minutes(10))
        #expect(run.flow[.first] == [false, true])
        #expect(run.numbersArrived(.second).count == 10)
    }

    @Test func `what is larger than the MTU is rejected at once`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let number = run.send(.first, size: 2049, delivery: ServiceType(.arq))
        #expect(run.rejected[.first] == [number: .largerThanMTU])
        #expect(run.bursts.isEmpty)
    }

    @Test func `a silent node receives and does not transmit, and goes on after its silence`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel()) { $0.lossPolicy = .keep }
        let start = run.now
        run.pair.withNode(.second, now: start) { $0.emissionControlChanged(isSilent: true, now: start) }
        let number = run.send(.first)
        run.run(for: .minutes(5))
        #expect(run.bursts.allSatisfy { $0.side == .first })
        #expect(run.numbersArrived(.second) == [])
        let end = run.now
        run.pair.withNode(.second, now: end) { $0.emissionControlChanged(isSilent: false, now: end) }
        run.run(for: .minutes(10))
        #expect(run.numbersArrived(.second) == [number])
        #expect(run.confirmed[.first] == [number])
    }

    @Test func `without the link protocol a warning makes the node call`() {
        // The second node insists on a link, the first assumes one.
        func node(_ text: String, usesLinks: Bool) -> HFNodeMachine {
            var configuration = HFNodeConfiguration(address: address(text))
            configuration.link.isUsed = usesLinks
            return HFNodeMachine(configuration: configuration, timing: .short(1200))
        }
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let now = run.now
        run.pair = HFNodePair(
            first: node("10.0.0.1", usesLinks: false), second: node("10.0.0.2", usesLinks: true),
            channel: ClearBurstChannel())
        run.pair.withNode(.second, now: now) { $0.clientBound(sap: 6) }
        let number = run.send(.first)
        run.run(for: .minutes(3))
        #expect(run.numbersArrived(.second) == [number])
        #expect(run.confirmed[.first] == [number])
        #expect(run.read.contains { $0.dpdu.content.type == 15 })
        #expect(run.notes[.first]?.contains(.linkBroken(Self.peer, .unknownToPeer)) == true)
    }

    @Test func `two nodes that call at the same moment both lose their call, and both deliver in the end`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let forth = run.send(.first)
        let back = run.send(.second)
        #expect(run.bursts.count == 2)
        run.run(for: .minutes(5))
        #expect(run.numbersArrived(.second) == [forth])
        #expect(run.numbersArrived(.first) == [back])
    }

    @Test func `a node that has forgotten everything is brought back in step`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel()) {
            $0.lossPolicy = .keep
            $0.link.idle = .minutes(10)
        }
        for _ in 0..<5 { run.send(.first) }
        run.run(for: .minutes(2))
        let now = run.now
        // The second node starts anew.
        run.pair.withNode(.second, now: now) { node in
            var fresh = HFNodeMachine(configuration: node.configuration, timing: .short(1200))
            fresh.clientBound(sap: 6)
            node = fresh
        }
        let later = (0..<5).map { _ in run.send(.first) }
        run.run(for: .minutes(10))
        #expect(run.numbersArrived(.second).suffix(5) == later[...])
        #expect(run.confirmed[.first]?.suffix(5) == later[...])
        #expect(run.notes[.first]?.contains(.windowsReset(Self.peer)) == true)
    }

    @Test func `units without acknowledgement need no link and arrive once however often they are sent`() {
        let run = PairRun(.short(1200), channel: ClearBurstChannel())
        let delivery = ServiceType(.nonARQ, minimumRetransmissions: 2)
        let number = run.send(.first, size: 1000, delivery: delivery)
        let toAll = run.send(.first, size: 100, delivery: delivery, to: .broadcast)
        run.run(for: .minutes(2))
        #expect(run.numbersArrived(.second).sorted() == [number, toAll])
        #expect(run.bursts.allSatisfy { $0.side == .first })
        #expect(run.read.count { $0.dpdu.content.type == 7 } == 3 * 6 + 3)
    }

    @Test(arguments: 0..<20) func `whatever comes off the air, the node neither traps nor stops`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var configuration = HFNodeConfiguration(address: address("10.0.0.1"))
        configuration.lossPolicy = Bool.random(using: &random) ? .keep : .reject
        var node = HFNodeMachine(configuration: configuration, timing: .short(1200))
        node.clientBound(sap: 6)
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        for step in 0..<800 {
            now = now + .milliseconds(Int64.random(in: 0...20_000, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0: node.carrierHeard(.short(1200), now: now)
            case 1: node.carrierLost(now: now)
            case 2: node.burstEnded(now: now)
            case 3:
                let request = UnidataRequest(
                    priority: 0, destinationSAP: .rcop, destination: Self.peer,
                    delivery: ServiceType(.arq, confirmation: .client), timeToLive: TimeToLive(.seconds(200)),
                    uPDU: ByteBuffer(repeating: 1, count: 700))
                node.requestReceived(SubmittedUnit(id: UInt64(step), sourceSAP: .rcop, request), now: now)
            case 4, 5:
                var turns = 0
                while let deadline = node.nextDeadline, deadline <= now, turns < 100 {
                    node.deadlineReached(now: now)
                    turns += 1
                }
                #expect(turns < 100, "time stands still: \(node.debugState)")
            default:
                var dpdu = DPDU.random(using: &random)
                dpdu.source = Self.peer
                dpdu.destination = configuration.address
                if Int.random(in: 0..<4, using: &random) == 0 {
                    let unit = CPDU.linkRequest(isExclusive: false).encoded()
                    dpdu.content = .expeditedNonARQ(
                        .init(unit: UInt16(step), unitSize: 1, offset: 0, receptionWindow: 4, segment: unit))
                }
                var bytes = ByteBuffer()
                dpdu.encode(into: &bytes, addressBytes: 7)
                node.dpduReceived(bytes, isSegmentIntact: Bool.random(using: &random), now: now)
            }
            while node.nextAction() != nil {}
        }
    }
}
