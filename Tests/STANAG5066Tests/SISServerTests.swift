import NIOCore
import STANAG5066
import Testing

struct SISServerTests {
    private let now = NIODeadline.uptimeNanoseconds(0) + .hours(1)
    private let bind = BindRequest(sap: .rcop, rank: 5, service: TestClient.service)

    /// A server machine that collects its actions, and accepts every bind when it is told to.
    private final class Server {
        var machine: SISServerStateMachine
        var acceptsAtOnce: UInt16?

        init(_ configuration: SISServerConfiguration = SISServerConfiguration()) {
            machine = SISServerStateMachine(configuration)
        }

        func receive(_ primitives: SISPrimitive..., at now: NIODeadline) -> [SISServerAction] {
            var bytes = ByteBuffer()
            for primitive in primitives { primitive.encode(into: &bytes) }
            machine.bytesReceived(bytes, now: now)
            return take(at: now)
        }

        func take(at now: NIODeadline) -> [SISServerAction] {
            var actions: [SISServerAction] = []
            while let action = machine.nextAction() {
                actions.append(action)
                if case .bindRequested = action, let mtu = acceptsAtOnce { machine.bindAccepted(mtu: mtu, now: now) }
            }
            return actions
        }
    }

    private func bound(_ configuration: SISServerConfiguration = SISServerConfiguration(), mtu: UInt16 = 2048) -> Server {
        let server = Server(configuration)
        server.acceptsAtOnce = mtu
        #expect(server.receive(.bindRequest(bind), at: now).count == 2)
        return server
    }

    @Test func `A client binds, submits, is answered, and leaves`() {
        let server = bound()
        #expect(server.machine.bind == bind)
        let request = UnidataRequest.test(id: 1)
        #expect(server.receive(.unidataRequest(request), at: now) == [.submitted(request, isExpedited: false)])
        #expect(
            server.receive(.expeditedUnidataRequest(.test(priority: 0)), at: now) == [
                .submitted(.test(priority: 0), isExpedited: true)
            ])
        server.machine.unitConfirmed(request, isExpedited: false)
        server.machine.unitRejected(request, isExpedited: true, reason: .timeToLiveExpired)
        let reference = UnidataReference(to: request)
        #expect(
            server.take(at: now) == [
                .write(.unidataRequestConfirm(reference)),
                .write(.expeditedUnidataRequestRejected(.timeToLiveExpired, reference)),
            ])
        #expect(server.receive(.unbindRequest, at: now) == [.unbound])
        #expect(server.machine.bind == nil)
        let isHeard = server.machine.primitiveOffered(.dataFlowOff)
        #expect(!isHeard)
        #expect(server.take(at: now) == [])
    }

    @Test func `Nothing but a bind is served before a bind`() {
        let server = Server()
        let link = HardLink.reservation(of: TestClient.peer, priority: 0)
        #expect(
            server.receive(
                .unidataRequest(.test()), .hardLinkEstablish(link), .hardLinkTerminate(TestClient.peer), .unbindRequest,
                .managementMessageRequest(ManagementMessage(type: 1, body: ByteBuffer())), at: now) == [])
        #expect(server.receive(.keepAlive, at: now) == [.write(.keepAlive)])
    }

    @Test func `What comes behind a bind waits for the answer to it`() {
        let server = Server()
        let request = UnidataRequest.test()
        #expect(server.receive(.bindRequest(bind), .unidataRequest(request), at: now) == [.bindRequested(bind)])
        server.machine.bindAccepted(mtu: 2048, now: now)
        #expect(
            server.take(at: now) == [
                .write(.bindAccepted(BindAccepted(sap: .rcop, mtu: 2048))), .submitted(request, isExpedited: false),
            ])
    }

    @Test func `A client that was rejected may ask again`() {
        let server = Server()
        _ = server.receive(.bindRequest(bind), at: now)
        server.machine.bindRejected(.sapAlreadyAllocated, now: now)
        #expect(server.take(at: now) == [.write(.bindRejected(.sapAlreadyAllocated))])
        #expect(server.receive(.bindRequest(bind), at: now) == [.bindRequested(bind)])
        server.machine.connectionClosed()
        #expect(server.take(at: now) == [.unbound])
        server.machine.bindAccepted(mtu: 1, now: now)
        #expect(server.take(at: now) == [])
    }

    @Test func `A U_PDU in mode default goes as the bind said`() {
        let server = bound()
        guard case .submitted(let request, false)? = server.receive(.unidataRequest(.test(.default)), at: now).first else {
            return #expect(Bool(false))
        }
        #expect(request.delivery == TestClient.service)
    }

    @Test func `What cannot be carried is rejected, with as much of it as the node says`() {
        var configuration = SISServerConfiguration()
        configuration.responseFragmentBytes = 6
        let server = bound(configuration, mtu: 100)
        let large = UnidataRequest.test(bytes: 101, ServiceType(.nonARQ))
        #expect(
            server.receive(.unidataRequest(large), at: now)
                == [.write(.unidataRequestRejected(.largerThanMTU, UnidataReference(to: large, bytes: 6)))])
        for delivery in [ServiceType(TransmissionMode(low: 9)), ServiceType(.nonARQ, confirmation: .node)] {
            let request = UnidataRequest.test(delivery)
            #expect(
                server.receive(.unidataRequest(request), at: now)
                    == [.write(.unidataRequestRejected(.transmissionModeNotSpecified, UnidataReference(to: request, bytes: 6)))]
            )
        }
        #expect(server.receive(.unidataRequest(.test(to: .broadcast)), at: now).count == 1)
        #expect(
            server.receive(.unidataRequest(.test(to: .broadcast, ServiceType(.nonARQ))), at: now)
                == [.submitted(.test(to: .broadcast, ServiceType(.nonARQ)), isExpedited: false)])
    }

    @Test(arguments: [
        ServiceType.default, ServiceType(.nonARQ, confirmation: .client), ServiceType(TransmissionMode(low: 7)),
        ServiceType(.arq, confirmation: DeliveryConfirmation(low: 3)),
    ])
    func `A bind with a service that does not exist is rejected`(service: ServiceType) {
        let server = Server()
        let actions = server.receive(.bindRequest(BindRequest(sap: .rcop, rank: 0, service: service)), at: now)
        #expect(actions == [.write(.bindRejected(BindRejectedReason(rawValue: 0)))])
    }

    @Test func `Too many invalid primitives end the bind, not the connection`() {
        let server = bound()
        for _ in 0..<16 { #expect(server.receive(.dataFlowOn, at: now) == []) }
        #expect(server.receive(.dataFlowOn, at: now) == [.write(.unbindIndication(.tooManyInvalidPrimitives)), .unbound])
        #expect(server.receive(.bindRequest(bind), at: now).count == 2)
    }

    @Test func `A stream that is out of step is closed, and nothing more is read`() {
        let server = bound()
        server.machine.bytesReceived(ByteBuffer(string: "GET / HTTP/1.1\r\n"), now: now)
        #expect(server.take(at: now) == [.unbound, .close])
        #expect(server.receive(.keepAlive, at: now) == [])
        server.machine.connectionClosed()
        #expect(server.take(at: now) == [])
    }

    @Test func `Hard links and management messages are the node's`() {
        let server = bound()
        let link = HardLink.reservation(of: TestClient.peer, priority: 0)
        let message = ManagementMessage(type: 1, body: ByteBuffer())
        #expect(
            server.receive(
                .hardLinkEstablish(link), .hardLinkTerminate(TestClient.peer), .hardLinkAccept(link),
                .hardLinkReject(.modeNotSupported, link), .managementMessageRequest(message), at: now) == [
                    .hardLinkRequested(link), .hardLinkTerminated(TestClient.peer), .hardLinkAccepted(link),
                    .hardLinkRefused(.modeNotSupported, link), .managementMessage(message),
                ])
    }

    @Test func `A keep-alive is answered, and not twice within ten seconds`() {
        let server = bound()
        #expect(server.receive(.keepAlive, .keepAlive, at: now) == [.write(.keepAlive)])
        #expect(server.receive(.keepAlive, at: now + .seconds(9)) == [])
        #expect(server.receive(.keepAlive, at: now + .seconds(10)) == [.write(.keepAlive)])
    }
}
