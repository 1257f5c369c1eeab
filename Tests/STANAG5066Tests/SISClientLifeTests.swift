import NIOCore
import STANAG5066
import Testing

/// Keep-alives and hard links.
struct SISClientLifeTests {
    private let one = SISConnectionID(1)

    // MARK: Keep-alive

    @Test func `A keep-alive is answered at once, and not again within ten seconds`() {
        let client = TestClient.bound()
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive])
        client.advance(by: .seconds(9))
        client.receive(.keepAlive, .keepAlive)
        #expect(client.takeWritten() == [], "two ends would answer each other for ever")
        client.advance(by: .seconds(1))
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive])
    }

    @Test func `A keep-alive is answered before the bind and between two`() {
        let client = TestClient()
        client.start()
        client.connect()
        _ = client.take()
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive])
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)), .unbindIndication(.preempted))
        _ = client.take()
        client.advance(by: .milliseconds(500))
        client.closed()
        client.advance(by: .seconds(4))
        client.connect()
        _ = client.take()
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive], "another connection begins anew")
    }

    @Test(arguments: [1, 120, 300] as [Int64])
    func `A quiet node is asked whether it lives, at most every two minutes`(seconds: Int64) {
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(seconds)
        let client = TestClient.bound(configuration)
        let interval = max(120, seconds)
        for _ in 0..<5 {
            client.advance(by: .seconds(interval) - .nanoseconds(1))
            #expect(client.takeWritten() == [])
            client.advance(by: .nanoseconds(1))
            #expect(client.takeWritten() == [.keepAlive])
            client.receive(.keepAlive)
            #expect(client.takeWritten() == [], "an answer is not answered")
        }
    }

    @Test func `A node that talks is not asked`() {
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(120)
        let client = TestClient.bound(configuration)
        for _ in 0..<20 {
            client.advance(by: .seconds(100))
            client.receive(.dataFlowOn)
        }
        #expect(client.takeWritten() == [])
    }

    @Test func `Our answer counts: no keep-alive of ours follows it within two minutes`() {
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(120)
        let client = TestClient.bound(configuration)
        client.advance(by: .seconds(100))
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive])
        client.advance(by: .seconds(119))
        #expect(client.takeWritten() == [])
        client.advance(by: .seconds(1))
        #expect(client.takeWritten() == [.keepAlive])
        client.closed()
        client.advance(by: .seconds(2))
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        client.advance(by: .seconds(118))
        #expect(client.takeWritten().filter { $0 == .keepAlive } == [], "not on the next connection either")
    }

    @Test func `A node's keep-alive while ours is out is taken for the answer`() {
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(120)
        let client = TestClient.bound(configuration)
        client.advance(by: .seconds(120))
        #expect(client.takeWritten() == [.keepAlive])
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [])
        // The answer to ours, which the node sends if it took ours for a question: it looks like one, and is answered once.
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [.keepAlive])
        client.receive(.keepAlive)
        #expect(client.takeWritten() == [])
    }

    @Test func `A node that does not answer is left; one that says anything is not`() {
        var configuration = TestClient.configuration
        configuration.keepAliveInterval = .seconds(120)
        let client = TestClient.bound(configuration)
        client.advance(by: .seconds(120))
        client.receive(.dataFlowOn)
        client.advance(by: .seconds(60))
        #expect(client.status.state == .bound(since: client.now - .seconds(180), mtu: 2048))
        client.offer(1, .test())
        client.advance(by: .seconds(60))
        _ = client.take()
        client.advance(by: .seconds(15))
        #expect(client.take() == [.drop(one), .ended(SISUnitID(1), .lost(.disconnected)), .unbound(.silent)])
        client.advance(by: .seconds(2))
        #expect(client.take() == [.dial])
    }

    @Test func `Without keep-alives of our own a node is asked only when it owes an answer and is silent`() {
        let client = TestClient.bound()
        client.advance(by: .hours(10))
        #expect(client.take() == [])
        client.offer(1, .test(timeToLive: TimeToLive(units: 300)))
        client.advance(by: .minutes(20))
        #expect(client.take().suffix(3) == [.ended(SISUnitID(1), .lost(.noAnswer)), .creditAvailable, .write(one, .keepAlive)])
        client.receive(.keepAlive)
        client.advance(by: .hours(1))
        #expect(client.take() == [], "it lives")
        client.offer(2, .test(timeToLive: TimeToLive(units: 300)))
        client.advance(by: .minutes(20) + .seconds(15))
        #expect(client.take().suffix(2) == [.drop(one), .unbound(.silent)])
    }

    @Test func `A node that said something since, but not about the U_PDU, is not doubted`() {
        let client = TestClient.bound()
        client.offer(1, .test())
        client.advance(by: .minutes(1))
        client.receive(.dataFlowOn)
        client.advance(by: .hours(1))
        #expect(client.takeWritten().count == 1)
        #expect(client.ends == [SISUnitID(1): [.lost(.noAnswer)]])
    }

    @Test func `A doubt does not make keep-alives more frequent`() {
        var configuration = TestClient.configuration
        configuration.patienceMinimum = .seconds(10)
        let client = TestClient.bound(configuration)
        client.receive(.keepAlive)
        client.advance(by: .seconds(1))
        client.offer(1, .test(timeToLive: TimeToLive(units: 1)))
        client.advance(by: .seconds(10))
        #expect(client.ends == [SISUnitID(1): [.lost(.noAnswer)]])
        client.advance(by: .seconds(108))
        #expect(client.takeWritten().filter { $0 == .keepAlive }.count == 1, "only the answer")
        client.advance(by: .seconds(1))
        #expect(client.takeWritten() == [.keepAlive])
    }

    // MARK: Hard links

    @Test func `A hard link is accepted from a peer and refused to anybody else`() {
        var configuration = TestClient.configuration
        configuration.hardLinkPeers = [TestClient.peer]
        let client = TestClient.bound(configuration)
        let known = HardLink(.fullBandwidth, priority: 1, remoteSAP: .rcop, remoteNode: TestClient.peer)
        let unknown = HardLink(.fullBandwidth, priority: 1, remoteSAP: .rcop, remoteNode: TestClient.otherPeer)
        client.receive(.hardLinkIndication(.ok, known), .hardLinkIndication(.ok, unknown))
        #expect(client.takeWritten() == [.hardLinkAccept(known), .hardLinkReject(.modeNotSupported, unknown)])
        client.peers([TestClient.otherPeer])
        client.receive(.hardLinkIndication(.ok, known), .hardLinkIndication(.ok, unknown))
        #expect(client.takeWritten() == [.hardLinkReject(.modeNotSupported, known), .hardLinkAccept(unknown)])
    }

    @Test func `A link is reserved on request, and given up on request`() {
        let client = TestClient.bound()
        let link = HardLink.reservation(of: TestClient.peer, priority: 2)
        client.reserve(TestClient.peer, priority: 2)
        client.reserve(TestClient.peer, priority: 2)
        #expect(client.takeWritten() == [.hardLinkEstablish(link)])
        client.receive(.hardLinkEstablished(.ok, link))
        #expect(client.take() == [.reservationChanged(.established)])
        client.release()
        #expect(client.takeWritten() == [.hardLinkTerminate(TestClient.peer)])
        client.receive(.hardLinkTerminated(.terminatedByRemoteNode, link))
        #expect(client.take() == [])
        client.release()
        #expect(client.take() == [])
    }

    @Test func `A reservation that is refused or ends is asked for again, as long as it is wanted`() {
        let client = TestClient.bound()
        let link = HardLink.reservation(of: TestClient.peer, priority: 1)
        client.reserve(TestClient.peer)
        client.receive(.hardLinkRejected(.remoteNodeBusy, link))
        #expect(client.take() == [.write(one, .hardLinkEstablish(link)), .reservationChanged(.rejected(.remoteNodeBusy))])
        client.advance(by: .seconds(60))
        client.receive(.hardLinkEstablished(.ok, link), .hardLinkTerminated(.physicalLinkBroken, link))
        #expect(
            client.take() == [
                .write(one, .hardLinkEstablish(link)), .reservationChanged(.established),
                .reservationChanged(.terminated(.physicalLinkBroken)),
            ])
        client.release()
        client.advance(by: .hours(1))
        #expect(client.take() == [], "nothing has to be given up, and nothing is wanted")
    }

    @Test func `A reservation outlives a bind, and another takes its place`() {
        let client = TestClient()
        client.reserve(TestClient.peer)
        #expect(client.take() == [])
        client.start()
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        let link = HardLink.reservation(of: TestClient.peer, priority: 1)
        #expect(client.takeWritten().last == .hardLinkEstablish(link))
        client.receive(.hardLinkRejected(.remoteNodeBusy, link))
        client.closed()
        client.advance(by: .seconds(2))
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048)))
        #expect(client.takeWritten().last == .hardLinkEstablish(link))
        client.advance(by: .minutes(2))
        #expect(client.takeWritten() == [], "asked for already")
        client.reserve(TestClient.otherPeer)
        #expect(
            client.takeWritten() == [
                .hardLinkTerminate(TestClient.peer), .hardLinkEstablish(.reservation(of: TestClient.otherPeer, priority: 1)),
            ])
        client.stop()
        #expect(client.takeWritten() == [.hardLinkTerminate(TestClient.otherPeer), .unbindRequest])
    }

    @Test func `What a node says of links that were not asked for is counted`() {
        let client = TestClient.bound()
        client.reserve(TestClient.peer)
        _ = client.take()
        client.receive(
            .hardLinkEstablished(.ok, .reservation(of: TestClient.otherPeer, priority: 1)),
            .hardLinkRejected(
                .remoteNodeBusy, HardLink(.fullBandwidth, priority: 1, remoteSAP: .rcop, remoteNode: TestClient.peer)))
        #expect(client.take() == [])
        #expect(client.counters.unexpected == 2)
    }

    @Test func `What a node says about itself is passed on`() {
        let client = TestClient.bound()
        let message = ManagementMessage(type: 7, body: ByteBuffer(string: "all well"))
        client.receive(.managementMessageIndication(message))
        #expect(client.take() == [.managementMessage(message)])
    }

    @Test func `A node that never says flow on is bound anew, when it has nothing of ours left and has no reason`() {
        let client = TestClient.bound()
        client.offer(1, .test())
        client.receive(.dataFlowOff)
        #expect(client.status.flowOffSince == client.now)
        client.advance(by: .minutes(9))
        client.receive(.unidataRequestConfirm(UnidataReference(to: .test())))
        client.advance(by: .minutes(59))
        // While nothing may be transmitted there is nothing to wonder at.
        client.receive(.subnetAvailability(.receiveOnly, .emissionControl))
        client.advance(by: .hours(48))
        client.receive(.subnetAvailability(.halfDuplex, .unspecified))
        client.advance(by: .minutes(59))
        _ = client.take()
        client.receive(.dataFlowOff, .keepAlive)
        client.advance(by: .seconds(59))
        #expect(client.takeWritten() == [.keepAlive])
        client.advance(by: .seconds(1))
        #expect(client.take() == [.drop(client.connection), .unbound(.flowStopped)])
        client.advance(by: .seconds(2))
        client.connect()
        client.receive(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2_048)))
        #expect(client.mayOffer(1) && client.status.isFlowOn)
        client.receive(.dataFlowOff, .dataFlowOn)
        client.advance(by: .hours(24))
        #expect(client.mayOffer(1))
    }
}
