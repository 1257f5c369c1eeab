import NIOCore
import STANAG5066
import TestSupport
import Testing

/// The client against a model of a node, wired back to back, in virtual time.
struct SISClientNodeTests {
    /// An owner with units to send until each is confirmed, and the wire between its client and the node.
    private final class Run {
        let client: TestClient
        let node: ModelNode
        private let seed: UInt64
        private let largestPiece: Int
        private var random: SeededGenerator
        private var toNode = ByteBuffer()
        private var dials = false
        private var attempts: UInt64 = 0
        /// Number of the unit of every attempt, by the attempt's id.
        private var unitOfAttempt: [UInt64: UInt16] = [:]
        private var waiting: [UInt16]
        private(set) var confirmed: Set<UInt16> = []
        /// Ended otherwise than confirmed, and offered again.
        private(set) var repeated = 0
        private static let peers = [TestClient.peer, TestClient.otherPeer]

        init(seed: UInt64, units: UInt16, largestPiece: Int) {
            var random = SeededGenerator(seed: seed)
            var configuration = TestClient.configuration
            configuration.bytesInNode = Int.random(in: 200...6_000, using: &random)
            configuration.bytesPerDestination = Int.random(in: 200...6_000, using: &random)
            configuration.unitsInNode = Int.random(in: 1...20, using: &random)
            configuration.keepAliveInterval = Bool.random(using: &random) ? .seconds(120) : nil
            client = TestClient(configuration, seed: seed)
            node = ModelNode(echo: [6, 8, .max].randomElement(using: &random) ?? 6, seed: seed &+ 1)
            waiting = Array(0..<units)
            self.seed = seed
            self.largestPiece = largestPiece
            self.random = random
        }

        func start() {
            client.start()
            perform()
        }

        /// One turn: everything may happen once.
        func turn() {
            if dials, Int.random(in: 0..<4, using: &random) > 0 {
                dials = false
                if Int.random(in: 0..<5, using: &random) == 0 {
                    client.dialFailed()
                } else {
                    toNode = ByteBuffer()
                    node.connected()
                    client.connect()
                }
                perform()
            }
            offer()
            move()
            let wasOpen = node.isOpen
            node.turn(now: client.now)
            move()
            if wasOpen, !node.isOpen {
                client.closed()
                perform()
            }
            client.advance(by: .milliseconds(Int64.random(in: 0...20_000, using: &random)))
            perform()
        }

        private func offer() {
            while let unit = waiting.first {
                let peer = Self.peers[Int(unit % 2)]
                let bytes = Int.random(in: 6...290, using: &random)
                guard client.mayOffer(bytes, to: peer) else { return }
                waiting.removeFirst()
                attempts += 1
                unitOfAttempt[attempts] = unit
                var uPDU = ByteBuffer()
                uPDU.writeMultipleIntegers(UInt32(truncatingIfNeeded: attempts), unit)
                uPDU.writeRepeatingByte(7, count: bytes - 6)
                client.offer(
                    attempts,
                    UnidataRequest(
                        priority: 5, destinationSAP: .rcop, destination: peer, delivery: TestClient.service,
                        timeToLive: TimeToLive(.seconds(120)), uPDU: uPDU))
                perform()
            }
        }

        /// Bytes cross in both directions, cut anywhere; some may stay on the way.
        private func move() {
            let kept = Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 0...toNode.readableBytes, using: &random) : 0
            while toNode.readableBytes > kept {
                let piece = toNode.readSlice(
                    length: min(Int.random(in: 1...largestPiece, using: &random), toNode.readableBytes))
                node.receive(piece ?? ByteBuffer(), now: client.now)
            }
            while let piece = node.takeOutput(Int.random(in: 1...largestPiece, using: &random)), piece.readableBytes > 0 {
                client.receive(piece)
                perform()
            }
        }

        private func perform() {
            for action in client.take() {
                switch action {
                case .dial: dials = true
                case .abandonDial: dials = false
                case .write(client.connection, let primitive): primitive.encode(into: &toNode)
                case .write(let other, _): Issue.record("seed \(seed): written to \(other)")
                case .close, .drop:
                    node.close()
                    toNode = ByteBuffer()
                case .ended(let id, let end): ended(id.number, end)
                case .creditAvailable, .bound, .unbound, .subnetChanged, .note, .stopped: break
                case .deliver, .reservationChanged, .managementMessage, .arm, .disarm:
                    Issue.record("seed \(seed): \(action)")
                }
            }
            #expect(client.status.unitsInNode <= 20, "seed \(seed)")
        }

        private func ended(_ attempt: UInt64, _ end: SISUnitEnd) {
            guard let unit = unitOfAttempt[attempt] else {
                Issue.record("seed \(seed): nobody's end")
                return
            }
            switch end {
            case .confirmed:
                confirmed.insert(unit)
                #expect(
                    node.delivered.contains(attempt << 16 | UInt64(unit)), "seed \(seed): confirmed, and never delivered")
            case .rejected, .lost:
                repeated += 1
                waiting.append(unit)
            // It was asked whether there is room.
            case .handedOver, .notSent: Issue.record("seed \(seed): \(end)")
            }
        }

        func stop() {
            client.stop()
            perform()
            client.advance(by: .minutes(1))
            perform()
        }
    }

    private func check(seed: UInt64, largestPiece: Int, faults: ModelNode.Faults, chaos turns: Int) -> (
        repeated: Int, restarts: Int
    ) {
        let units: UInt16 = 60
        let run = Run(seed: seed, units: units, largestPiece: largestPiece)
        run.node.faults = faults
        run.start()
        for _ in 0..<turns { run.turn() }
        run.node.faults = .none
        var turns = 0
        while run.confirmed.count < Int(units), turns < 5_000 {
            run.turn()
            turns += 1
        }
        #expect(run.confirmed.count == Int(units), "seed \(seed): \(run.client.debugState)")
        run.stop()
        #expect(run.client.status.state == .stopped)
        #expect(run.client.ends.values.allSatisfy { $0.count == 1 }, "seed \(seed): each ends once")
        #expect(UInt64(run.client.ends.count) == run.client.counters.unitsSent, "seed \(seed): each ends")
        return (run.repeated, run.node.restarts)
    }

    @Test(arguments: Array(1...20) as [UInt64])
    func `With a sound node every unit is sent once and confirmed`(seed: UInt64) {
        let (repeated, _) = check(seed: seed, largestPiece: 1 << (seed % 10), faults: .none, chaos: 0)
        #expect(repeated == 0)
    }

    @Test(arguments: Array(1...60) as [UInt64])
    func `Whatever the node does, no unit is lost and each ends once`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func upTo(_ limit: Int) -> Int { Int.random(in: 0...limit, using: &random) }
        let faults = ModelNode.Faults(
            silent: upTo(300), doubled: upTo(500), rejected: upTo(300), rejectedThoughDelivered: upTo(200), flowOff: upTo(200),
            unbinds: upTo(60), rejectsBind: upTo(400), subnetOff: upTo(100), restarts: upTo(60))
        _ = check(seed: seed, largestPiece: seed % 3 == 0 ? 1 : 200, faults: faults, chaos: 400)
    }

    @Test func `The faults do happen`() {
        var faults = ModelNode.Faults()
        faults.silent = 200
        faults.restarts = 50
        faults.flowOff = 300
        var sum = (repeated: 0, restarts: 0)
        for seed in 1...10 as ClosedRange<UInt64> {
            let (repeated, restarts) = check(seed: seed, largestPiece: 50, faults: faults, chaos: 100)
            sum = (sum.repeated + repeated, sum.restarts + restarts)
        }
        #expect(sum.repeated > 100)
        #expect(sum.restarts > 20)
    }

    @Test func `What the node says leads to the same wherever it is cut`() {
        let requests = (0..<3).map { UnidataRequest.test(id: UInt8($0)) }
        let indication = UnidataIndication(
            priority: 0, destinationSAP: .rcop, destination: SISExample.here, mode: .arq, sourceSAP: .rcop,
            source: TestClient.peer,
            uPDU: SISExample.uPDU)
        var bytes = ByteBuffer()
        for primitive in [
            SISPrimitive.dataFlowOff, .unidataRequestConfirm(UnidataReference(to: requests[1], bytes: 6)),
            .unidataIndication(indication),
            .keepAlive, .dataFlowOn, .unidataRequestRejected(.timeToLiveExpired, UnidataReference(to: requests[0])),
            .subnetAvailability(.halfDuplex, .unspecified), .unbindIndication(.inactivity), .dataFlowOff,
        ] { primitive.encode(into: &bytes) }
        func actions(_ pieces: [ByteBuffer?]) -> [SISClientAction] {
            let client = TestClient.bound()
            for (index, request) in requests.enumerated() { client.offer(UInt64(index), request) }
            _ = client.take()
            var actions: [SISClientAction] = []
            for piece in pieces {
                client.receive(piece ?? ByteBuffer())
                actions += client.take()
            }
            // How often room is announced depends on how often the owner looks.
            return actions.filter { $0 != .creditAvailable }
        }
        let whole = actions([bytes])
        #expect(whole.count == 7)
        for cut in 0...bytes.readableBytes {
            let pieces = [bytes.getSlice(at: 0, length: cut), bytes.getSlice(at: cut, length: bytes.readableBytes - cut)]
            #expect(actions(pieces) == whole, "cut at \(cut)")
        }
        #expect(actions((0..<bytes.readableBytes).map { bytes.getSlice(at: $0, length: 1) }) == whole)
    }

    /// Any input in any state: nothing traps, and whatever was offered ends once.
    @Test(arguments: Array(1...60) as [UInt64])
    func `Nothing that comes in any order is a trap`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(Int64.random(in: 0...200, using: &random))
        configuration.hardLinkPeers = [TestClient.peer]
        let client = TestClient(configuration, seed: seed)
        var offered: UInt64 = 0
        for _ in 0..<800 {
            switch Int.random(in: 0..<22, using: &random) {
            case 0: client.start()
            case 1: client.connect()
            case 2: client.dialFailed()
            case 3: client.closed(Bool.random(using: &random) ? nil : SISConnectionID(UInt64.random(in: 0...5, using: &random)))
            case 4: client.receive(random.bytes())
            case 5...8: client.receive(random.primitive(type: random.byte() % 27 + 1))
            case 9, 10:
                client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: UInt16.random(in: 0...3_000, using: &random))))
            case 11: client.receive(.hardLinkRejected(.remoteNodeBusy, .reservation(of: TestClient.peer, priority: 1)))
            case 12: client.reserve(random.byte() % 2 == 0 ? TestClient.peer : TestClient.otherPeer)
            case 13: client.release()
            case 14...17:
                offered += 1
                client.offer(offered, .test(id: random.byte() % 4, bytes: Int.random(in: 0...3_000, using: &random)))
            case 18:
                client.receive(.unidataRequestConfirm(UnidataReference(to: .test(id: random.byte() % 4, bytes: 6))))
            case 19: client.deadline()
            case 20: client.advance(by: .milliseconds(Int64.random(in: 0...200_000, using: &random)))
            default: client.receive(.dataFlowOn, .subnetAvailability(.on, .unspecified))
            }
            _ = client.take()
        }
        client.stop()
        client.advance(by: .seconds(5))
        client.offer(offered + 1, .test())
        #expect(client.status.state == .stopped)
        #expect(client.ends.count == Int(offered) + 1, "seed \(seed)")
        #expect(client.ends.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
        #expect(client.armed == nil)
    }
}
