import NIOCore
import STANAG5066
import Testing

struct SISClientUnitTests {
    private func reference(_ request: UnidataRequest, _ bytes: Int = .max) -> UnidataReference {
        UnidataReference(to: request, bytes: bytes)
    }

    private func ended(_ id: UInt64, _ end: SISUnitEnd) -> SISClientAction { .ended(SISUnitID(id), end) }

    @Test func `A U_PDU is written as it was offered, and ends with the node's answer`() {
        let client = TestClient.bound()
        let request = UnidataRequest.test(id: 1)
        client.offer(1, request)
        #expect(client.takeWritten() == [.unidataRequest(request)])
        #expect(client.status.bytesInNode == 100)
        client.receive(.unidataRequestConfirm(reference(request)))
        #expect(client.take() == [ended(1, .confirmed(.node)), .creditAvailable])
        #expect(client.status.bytesInNode == 0)
        client.receive(.unidataRequestConfirm(reference(request)))
        #expect(client.take() == [], "it was confirmed already")
        #expect(client.counters.unmatched == 1)
    }

    @Test func `A confirmation is the one that was asked for`() {
        let client = TestClient.bound()
        let request = UnidataRequest.test(id: 1, ServiceType(.arq, confirmation: .client))
        client.offer(1, request)
        client.receive(.unidataRequestConfirm(reference(request)))
        #expect(client.ends == [SISUnitID(1): [.confirmed(.client)]])
    }

    @Test(arguments: [0, 2, 4, 6, 100])
    func `An answer is about the oldest U_PDU that begins as it says`(echo: Int) {
        let client = TestClient.bound()
        // Two segments of one unit, one of another, and one of a third.
        let requests = [
            UnidataRequest.test(id: 1, segment: 0), .test(id: 1, segment: 1), .test(id: 2, segment: 0),
            .test(id: 3, segment: 7),
        ]
        for (index, request) in requests.enumerated() { client.offer(UInt64(index), request) }
        for request in requests.reversed() { client.receive(.unidataRequestConfirm(reference(request, echo))) }
        let order = client.take().compactMap { if case .ended(let id, .confirmed(.node)) = $0 { id.number } else { nil } }
        switch echo {
        case 0: #expect(order == [0, 1, 2, 3], "in the order in which they were sent")
        case 2: #expect(order == [3, 2, 0, 1], "the segments of one unit in their order")
        default: #expect(order == [3, 2, 1, 0])
        }
    }

    @Test func `Two identical U_PDUs end one after the other`() {
        let client = TestClient.bound()
        client.offer(1, .test())
        client.offer(2, .test())
        _ = client.take()
        client.receive(.unidataRequestRejected(.destinationSAPNotBound, reference(.test())))
        #expect(client.take() == [ended(1, .rejected(.destinationSAPNotBound)), .creditAvailable])
        client.receive(.unidataRequestConfirm(reference(.test())))
        #expect(client.take() == [ended(2, .confirmed(.node)), .creditAvailable])
    }

    @Test func `An answer about another destination, SAP or text is nobody's`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        _ = client.take()
        var long = reference(.test(id: 2))
        long.prefix.writeInteger(0 as UInt8)
        client.receive(
            .unidataRequestConfirm(reference(.test(id: 1, to: TestClient.otherPeer))),
            .unidataRequestConfirm(reference(.test(id: 1, sap: .udop))), .unidataRequestConfirm(reference(.test(id: 2), 2)),
            .unidataRequestConfirm(long), .expeditedUnidataRequestConfirm(reference(.test(id: 1))))
        #expect(client.take() == [])
        #expect(client.counters.unmatched == 4)
        #expect(client.counters.unexpected == 1)
    }

    @Test func `A node may fill up what it repeats of a short U_PDU`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        var padded = reference(.test(id: 1))
        padded.prefix.writeRepeatingByte(0, count: 40)
        client.receive(.unidataRequestConfirm(padded))
        #expect(client.ends == [SISUnitID(1): [.confirmed(.node)]])
    }

    /// Two kinds that begin with the same byte: a node that repeats no more than that confirms what only the far node has to have
    /// first, and the other is not delivered yet.
    private func unclear() -> (client: TestClient, message: UnidataRequest, presence: UnidataRequest) {
        let client = TestClient.bound()
        let message = UnidataRequest.test(id: 1, ServiceType(.arq, confirmation: .client))
        let presence = UnidataRequest.test(id: 2, ServiceType(.arq, confirmation: .node))
        client.offer(1, message)
        client.offer(2, presence)
        client.receive(.unidataRequestConfirm(reference(presence, 1)))
        #expect(client.ends.isEmpty)
        #expect(client.counters.ambiguous == 1 && client.counters.unmatched == 0)
        return (client, message, presence)
    }

    @Test func `An answer that may be about two that are confirmed by different ones ends neither before the other's`() {
        let (client, message, _) = unclear()
        client.receive(.unidataRequestConfirm(reference(message, 1)))
        #expect(client.ends == [SISUnitID(1): [.confirmed(.client)], SISUnitID(2): [.confirmed(.node)]])
        #expect(client.counters.unmatched == 0)
    }

    @Test func `Of two of which one was rejected, nobody knows which, both were`() {
        let (client, message, _) = unclear()
        client.receive(.unidataRequestRejected(.destinationSAPNotBound, reference(message, 1)))
        #expect(
            client.ends == [
                SISUnitID(1): [.rejected(.destinationSAPNotBound)], SISUnitID(2): [.rejected(.destinationSAPNotBound)],
            ])
    }

    @Test func `Of two of which one was answered, nobody knows which, both are lost in the end`() {
        let (client, _, _) = unclear()
        client.advance(by: .hours(24))
        #expect(client.ends == [SISUnitID(1): [.lost(.noAnswer)], SISUnitID(2): [.lost(.noAnswer)]])
    }

    @Test func `A clear answer about one of two settles the other`() {
        let (client, message, _) = unclear()
        client.receive(.unidataRequestConfirm(reference(message, 4)))
        #expect(client.ends == [SISUnitID(1): [.confirmed(.client)], SISUnitID(2): [.confirmed(.node)]])
    }

    @Test func `A node whose answers are not clear has one for each destination at a time, until the bind ends`() {
        let (client, message, presence) = unclear()
        #expect(client.status.isOneAtATime)
        #expect(!client.mayOffer(1) && client.credit() == 0)
        #expect(client.mayOffer(1, to: TestClient.otherPeer))
        client.receive(.unidataRequestConfirm(reference(message, 1)))
        #expect(client.mayOffer(1))
        client.offer(3, message)
        #expect(!client.mayOffer(1) && client.credit() == 0)
        client.receive(.unidataRequestConfirm(reference(message, 1)))
        #expect(client.ends[SISUnitID(3)] == [.confirmed(.client)])
        client.offer(4, presence)
        client.receive(.unidataRequestConfirm(reference(presence, 1)))
        #expect(client.ends[SISUnitID(4)] == [.confirmed(.node)])
        client.receive(.unbindIndication(.preempted))
        #expect(!client.status.isOneAtATime)
    }

    @Test func `What a node that is given one at a time threw away at its flow off does not hold up all else for long`() {
        let (client, message, _) = unclear()
        client.receive(.unidataRequestConfirm(reference(message, 1)))
        client.offer(3, message)
        client.receive(.dataFlowOff)
        client.advance(by: .seconds(30))
        client.receive(.dataFlowOn)
        #expect(!client.mayOffer(1))
        client.advance(by: TestClient.configuration.overtakenPatience)
        #expect(client.ends[SISUnitID(3)] == [.lost(.noAnswer)] && client.mayOffer(1))
    }

    @Test func `The second of three segments expires in the node`() {
        let client = TestClient.bound()
        let segments = (0..<3).map { UnidataRequest.test(id: 9, segment: $0) }
        for (index, segment) in segments.enumerated() { client.offer(UInt64(index), segment) }
        _ = client.take()
        client.receive(
            .unidataRequestConfirm(reference(segments[0], 6)),
            .unidataRequestRejected(.timeToLiveExpired, reference(segments[1], 6)),
            .unidataRequestConfirm(reference(segments[2], 6)))
        #expect(
            client.take() == [
                ended(0, .confirmed(.node)), .creditAvailable, ended(1, .rejected(.timeToLiveExpired)),
                ended(2, .confirmed(.node)),
            ])
    }

    @Test func `No more is offered between flow off and flow on`() {
        let client = TestClient.bound()
        client.offer(1, .test(segment: 0))
        client.receive(.dataFlowOff)
        #expect(!client.mayOffer(1))
        #expect(client.credit() == 0)
        client.offer(2, .test(segment: 1))
        #expect(client.take().suffix(1) == [ended(2, .notSent(.flowOff))])
        // What is inside still gets its answer.
        client.receive(.unidataRequestConfirm(reference(.test(segment: 0))))
        #expect(client.take() == [ended(1, .confirmed(.node))])
        client.receive(.dataFlowOn)
        #expect(client.take() == [.creditAvailable])
        #expect(client.mayOffer(1))
    }

    @Test func `A node that may not transmit is given nothing`() {
        let client = TestClient.bound()
        for (status, may) in [(SubnetStatus.receiveOnly, false), (.halfDuplex, true), (.off, false), (.transmitOnly, true)] {
            client.receive(.subnetAvailability(status, .emissionControl))
            #expect(client.take() == [.subnetChanged(status, .emissionControl)] + (may ? [.creditAvailable] : []))
            #expect(client.mayOffer(1) == may)
            client.offer(1, .test(ServiceType(.nonARQ)))
            #expect(client.take().last == ended(1, may ? .handedOver : .notSent(.subnetOff)))
        }
    }

    @Test func `Numbers that mean something else to a node can be ignored`() {
        var configuration = TestClient.configuration
        configuration.obeysSubnetAvailability = false
        let client = TestClient.bound(configuration)
        client.receive(.subnetAvailability(.off, .unspecified))
        #expect(client.take().first == .subnetChanged(.off, .unspecified))
        #expect(client.mayOffer(1))
    }

    @Test func `Bytes inside the node are bounded, in all and for each destination`() {
        var configuration = TestClient.configuration
        configuration.bytesInNode = 1_000
        configuration.bytesPerDestination = 600
        let client = TestClient.bound(configuration)
        client.offer(1, .test(id: 1, bytes: 500))
        #expect(client.credit() == 100)
        #expect(client.credit(to: TestClient.otherPeer) == 500)
        _ = client.take()
        client.offer(2, .test(id: 2, bytes: 101))
        #expect(client.take() == [ended(2, .notSent(.noCredit))])
        client.offer(3, .test(id: 3, bytes: 500, to: TestClient.otherPeer))
        #expect(client.credit() == 0 && client.credit(to: TestClient.otherPeer) == 0)
        #expect(!client.mayOffer(1))
        _ = client.take()
        client.receive(.unidataRequestConfirm(reference(.test(id: 1, bytes: 500))))
        #expect(client.take() == [ended(1, .confirmed(.node)), .creditAvailable])
        #expect(client.credit() == 500)
    }

    @Test func `One U_PDU is always taken, however large`() {
        var configuration = TestClient.configuration
        configuration.bytesInNode = 10
        configuration.bytesPerDestination = 10
        let client = TestClient.bound(configuration)
        #expect(client.mayOffer(2_048))
        client.offer(1, .test(bytes: 2_048))
        #expect(client.takeWritten().count == 1)
        #expect(!client.mayOffer(0, to: TestClient.peer) && !client.mayOffer(1, to: TestClient.otherPeer))
    }

    @Test func `The number of U_PDUs inside the node is bounded`() {
        var configuration = TestClient.configuration
        configuration.unitsInNode = 2
        let client = TestClient.bound(configuration)
        client.offer(1, .test(id: 1, bytes: 0))
        client.offer(2, .test(id: 2, bytes: 0))
        #expect(client.credit() == 0)
        _ = client.take()
        client.offer(3, .test(id: 3, bytes: 0))
        #expect(client.take() == [ended(3, .notSent(.noCredit))])
    }

    @Test func `Without a confirmation a U_PDU ends when the node has been given it`() {
        let client = TestClient.bound()
        client.offer(1, .test(to: .broadcast, ServiceType(.nonARQ, minimumRetransmissions: 2)))
        client.offer(2, .test(ServiceType(.arq)))
        #expect(client.ends == [SISUnitID(1): [.handedOver], SISUnitID(2): [.handedOver]])
        #expect(client.status.unitsInNode == 0)
        _ = client.take()
        client.receive(.unidataRequestRejected(.largerThanMTU, reference(.test())))
        #expect(client.take() == [])
        #expect(client.counters.unmatched == 1)
    }

    @Test func `What the standard does not allow is not sent`() {
        let client = TestClient.bound(mtu: 200)
        client.offer(1, .test(bytes: 201))
        client.offer(2, .test(to: .broadcast))
        #expect(client.take() == [ended(1, .notSent(.largerThanMTU)), ended(2, .notSent(.groupDestination))])
        client.offer(3, .test(.default))
        client.offer(4, .test(ServiceType(.nonARQ, confirmation: .client)))
        let modes = client.takeWritten().map {
            if case .unidataRequest(let request) = $0 { request.delivery } else { ServiceType.default }
        }
        #expect(modes == [TestClient.service, ServiceType(.nonARQ)])
        #expect(client.ends[SISUnitID(4)] == [.handedOver])
        #expect(client.ends[SISUnitID(3)] == nil)
    }

    @Test(arguments: [(300, 1_200), (10, 300), (0, 86_400)] as [(UInt32, Int64)])
    func `A U_PDU without an answer is lost after twice its time to live, and not too soon`(units: UInt32, seconds: Int64) {
        let client = TestClient.bound()
        client.offer(1, .test(timeToLive: TimeToLive(units: units)))
        client.advance(by: .seconds(seconds) - .nanoseconds(1))
        #expect(client.ends.isEmpty)
        client.advance(by: .nanoseconds(1))
        #expect(client.ends == [SISUnitID(1): [.lost(.noAnswer)]])
        client.receive(.unidataRequestConfirm(reference(.test())))
        #expect(client.counters.unmatched == 1)
    }

    @Test func `What met a flow off on its way is not waited for as long once a later U_PDU is confirmed`() {
        let client = TestClient.bound()
        client.offer(1, .test(id: 1))
        client.advance(by: .seconds(11))
        client.offer(2, .test(id: 2))
        client.offer(3, .test(id: 3, priority: 2))
        client.offer(4, .test(id: 4, to: TestClient.otherPeer))
        client.advance(by: .seconds(2))
        client.receive(.dataFlowOff)
        client.receive(.dataFlowOn)
        client.offer(5, .test(id: 5))
        client.receive(.unidataRequestConfirm(reference(.test(id: 5))))
        client.advance(by: .minutes(5))
        #expect(client.ends == [SISUnitID(2): [.lost(.noAnswer)], SISUnitID(5): [.confirmed(.node)]])
        client.advance(by: .minutes(15))
        #expect(client.ends.count == 5, "the others only when their own time is up")
    }

    @Test func `What is delivered is passed on at once, expedited or not, also by a client that stops`() {
        let client = TestClient.bound()
        let indication = UnidataIndication(
            priority: 0, destinationSAP: .rcop, destination: SISExample.here, mode: .arq, sourceSAP: .rcop,
            source: TestClient.peer,
            uPDU: SISExample.uPDU)
        client.receive(.dataFlowOff, .unidataIndication(indication), .expeditedUnidataIndication(indication))
        #expect(client.take() == [.deliver(indication), .deliver(indication)])
        client.stop()
        _ = client.take()
        client.receive(.unidataIndication(indication))
        #expect(client.take() == [.deliver(indication)])
    }

    @Test func `Nothing is delivered before a bind`() {
        let client = TestClient()
        client.start()
        client.connect()
        _ = client.take()
        client.receive(
            .unidataIndication(
                UnidataIndication(
                    priority: 0, destinationSAP: .rcop, destination: SISExample.here, mode: .arq, sourceSAP: .rcop,
                    source: TestClient.peer, uPDU: SISExample.uPDU)))
        #expect(client.take() == [])
        #expect(client.counters.unexpected == 1)
    }
}
