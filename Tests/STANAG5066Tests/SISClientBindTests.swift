import NIOCore
import STANAG5066
import Testing

struct SISClientBindTests {
    private let bind = BindRequest(sap: .rcop, rank: 5, service: TestClient.service)
    private let one = SISConnectionID(1)

    @Test func `A client connects, binds, and has credit`() {
        let client = TestClient()
        client.start()
        #expect(client.take() == [.dial])
        #expect(!client.mayOffer(1))
        client.connect()
        #expect(client.take() == [.write(one, .bindRequest(bind))])
        #expect(client.status.state == .binding)
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        #expect(client.take() == [.bound(mtu: 2048), .creditAvailable])
        #expect(client.status.state == .bound(since: client.now, mtu: 2048))
        #expect(client.credit() == 32 << 10)
        #expect(client.mayOffer(2048))
        #expect(!client.mayOffer(2049))
        #expect(client.armed == nil)
    }

    @Test func `A node that cannot be connected to is tried again, more and more rarely`() {
        let client = TestClient()
        client.start()
        var waits: [TimeAmount] = []
        for _ in 0..<12 {
            #expect(client.take() == [.dial])
            client.dialFailed()
            #expect(client.take() == [.note(.dialFailed)])
            guard case .waiting(let until) = client.status.state else { return #expect(Bool(false)) }
            waits.append(until - client.now)
            client.advance(to: until)
        }
        #expect(waits.allSatisfy { $0 >= .seconds(1) && $0 <= .seconds(60) })
        #expect(waits[0] <= .seconds(2))
        #expect(waits[8...].allSatisfy { $0 >= .seconds(30) })
        #expect(Set(waits[8...].map(\.nanoseconds)).count > 1, "drawn by chance")
    }

    @Test func `A dial that takes too long is given up`() {
        let client = TestClient()
        client.start()
        client.advance(by: .seconds(30))
        #expect(client.take() == [.dial, .abandonDial, .note(.dialTimeout)])
        client.connect()
        #expect(client.take() == [.drop(one)], "it comes too late")
    }

    @Test(
        arguments: [
            (.sapAlreadyAllocated, false), (.notEnoughResources, false), (BindRejectedReason(rawValue: 77), false),
            (.invalidSAP, true),
            (.arqUnsupportableDuringBroadcast, true),
        ] as [(BindRejectedReason, Bool)])
    func `After a rejected bind the connection is closed and tried again, soon or slowly`(
        reason: BindRejectedReason, isSlow: Bool
    ) {
        let client = TestClient()
        client.start()
        client.connect()
        _ = client.take()
        client.receive(.bindRejected(reason))
        #expect(client.take() == [.drop(one), .note(.bindRejected(reason))])
        client.closed(one)
        client.advance(by: .seconds(3))
        #expect(client.take() == (isSlow ? [] : [.dial]))
        guard isSlow else { return }
        client.advance(by: .minutes(4))
        #expect(client.take() == [])
        client.advance(by: .minutes(1))
        #expect(client.take() == [.dial])
    }

    @Test(arguments: [
        (BindAccepted(sap: .udop, mtu: 2048), SISTrouble.wrongSAP(.udop)), (BindAccepted(sap: .rcop, mtu: 15), .smallMTU(15)),
        (BindAccepted(sap: .rcop, mtu: 0), .smallMTU(0)),
    ])
    func `A bind that is of no use is left`(accepted: BindAccepted, trouble: SISTrouble) {
        let client = TestClient()
        client.start()
        client.connect()
        _ = client.take()
        client.receive(.bindAccepted(accepted))
        #expect(client.take() == [.drop(one), .note(trouble)])
        client.advance(by: .minutes(4))
        #expect(client.take() == [])
        client.advance(by: .minutes(1))
        #expect(client.take() == [.dial])
    }

    @Test func `An MTU beyond what a primitive can hold is cut to that`() {
        let client = TestClient.bound(mtu: .max)
        #expect(client.status.state == .bound(since: client.now, mtu: UnidataRequest.maximumBytes))
        client.offer(1, .test(bytes: UnidataRequest.maximumBytes))
        #expect(client.takeWritten().first?.encoded.readableBytes == 65_540)
    }

    @Test func `A node that does not answer the bind is left`() {
        let client = TestClient()
        client.start()
        client.connect()
        client.advance(by: .seconds(30))
        #expect(client.take().suffix(2) == [.drop(one), .note(.bindTimeout)])
    }

    @Test func `A node that ends the bind is asked again on the same connection`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        client.offer(2, .test(id: 2))
        _ = client.take()
        client.receive(.unbindIndication(.preempted))
        #expect(
            client.take() == [
                .ended(SISUnitID(1), .lost(.unbound)), .ended(SISUnitID(2), .lost(.unbound)), .unbound(.unbound(.preempted)),
            ])
        #expect(client.credit() == 0)
        client.offer(3, .test(id: 3))
        #expect(client.take() == [.ended(SISUnitID(3), .notSent(.unbound))])
        client.advance(by: .seconds(3))
        #expect(client.take() == [.write(one, .bindRequest(bind))])
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 1000)))
        #expect(client.take() == [.bound(mtu: 1000), .creditAvailable])
    }

    @Test(arguments: [UnbindReason.tooManyInvalidPrimitives, .tooManyExpeditedRequests, .arqUnsupportableDuringBroadcast])
    func `What somebody has to mend is not asked for every second`(reason: UnbindReason) {
        let client = TestClient.bound()
        client.receive(.unbindIndication(reason))
        _ = client.take()
        client.advance(by: .minutes(4))
        #expect(client.take() == [])
        client.advance(by: .minutes(1))
        #expect(client.takeWritten() == [.bindRequest(bind)])
    }

    @Test func `A node that ends bind after bind is asked more and more rarely, until a bind holds`() {
        let client = TestClient.bound()
        var wait = TimeAmount.zero
        for _ in 0..<10 {
            client.receive(.unbindIndication(.preempted))
            guard case .unbound(let until) = client.status.state else { return #expect(Bool(false)) }
            wait = until - client.now
            client.advance(to: until)
            client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        }
        #expect(wait >= .seconds(30))
        client.advance(by: .seconds(60))
        client.receive(.unbindIndication(.preempted))
        guard case .unbound(let until) = client.status.state else { return #expect(Bool(false)) }
        #expect(until - client.now <= .seconds(2))
    }

    @Test func `A node that restarts is connected to again, and what was inside it is lost`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        client.receive(.dataFlowOff, .subnetAvailability(.off, .emissionControl))
        _ = client.take()
        client.closed()
        #expect(client.take() == [.ended(SISUnitID(1), .lost(.disconnected)), .unbound(.disconnected)])
        client.advance(by: .seconds(2))
        #expect(client.take() == [.dial])
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        #expect(client.mayOffer(100), "neither flow control nor the state of the subnet outlives the connection")
    }

    @Test func `After an unbind the connection may end too, and the wait is not shorter for it`() {
        let client = TestClient.bound()
        client.receive(.unbindIndication(.arqUnsupportableDuringBroadcast))
        client.closed()
        _ = client.take()
        client.advance(by: .minutes(4))
        #expect(client.take() == [])
        client.advance(by: .minutes(2))
        #expect(client.take().first == .dial)
    }

    @Test func `A stream that is out of step ends the connection`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        _ = client.take()
        client.receive(ByteBuffer(bytes: [0x90, 0xEB, 0x00, 0x00, 0x01, 0x10, 0x55]))
        #expect(
            client.take() == [
                .drop(one), .ended(SISUnitID(1), .lost(.disconnected)), .unbound(.broken(.badPreamble(0x55))),
            ])
        client.receive(.dataFlowOn)
        #expect(client.take() == [], "the connection is left")
    }

    @Test func `What cannot be read or is out of place is counted, and the bind holds`() {
        let client = TestClient.bound()
        client.receive(ByteBuffer(hex: "90 EB 00 00 01 FF 90 EB 00 00 04 01 65 18 00"))
        #expect(client.counters.skipped == 2)
        #expect(client.counters.lastSkipped == .wrongDirection(type: 1))
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 9)), .bindRejected(.invalidSAP))
        #expect(client.counters.unexpected == 2)
        #expect(client.status.state == .bound(since: client.now, mtu: 2048))
        #expect(client.take() == [])
    }

    @Test func `What a connection says that was left is not read`() {
        let client = TestClient.bound()
        client.closed()
        client.advance(by: .seconds(2))
        client.connect()
        _ = client.take()
        client.receive(SISPrimitive.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)).encoded, on: one)
        client.closed(one)
        #expect(client.take() == [])
        #expect(client.status.state == .binding)
    }

    @Test func `A client that stops unbinds, and is done when the connection is closed`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        _ = client.take()
        client.stop()
        #expect(
            client.take() == [
                .ended(SISUnitID(1), .lost(.stopped)), .unbound(.stopped), .write(one, .unbindRequest), .close(one),
            ])
        // Some nodes answer so; others ask whether we live. We have said our last word.
        client.receive(.unbindIndication(UnbindReason(rawValue: 0)), .keepAlive)
        #expect(client.take() == [])
        client.closed()
        #expect(client.take() == [.stopped])
        client.stop()
        client.start()
        client.advance(by: .hours(1))
        #expect(client.take() == [])
    }

    @Test func `A client that stops does not wait for its node for ever`() {
        let client = TestClient.bound()
        client.stop()
        _ = client.take()
        client.advance(by: .seconds(5))
        #expect(client.take() == [.drop(one), .stopped])
        #expect(client.armed == nil)
    }

    @Test func `A client stops whatever it is doing`() {
        let idle = TestClient()
        idle.stop()
        #expect(idle.take() == [.stopped])
        let dialling = TestClient()
        dialling.start()
        dialling.stop()
        #expect(dialling.take() == [.dial, .abandonDial, .stopped])
        let waiting = TestClient()
        waiting.start()
        waiting.dialFailed()
        waiting.stop()
        #expect(waiting.take() == [.dial, .note(.dialFailed), .stopped])
        let binding = TestClient()
        binding.start()
        binding.connect()
        binding.stop()
        binding.closed()
        #expect(binding.take() == [.dial, .write(one, .bindRequest(bind)), .close(one), .stopped])
        for client in [idle, dialling, waiting, binding] { #expect(client.armed == nil) }
    }
}
