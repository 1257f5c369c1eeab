package import NIOCore
import NIOPosix
import TLS

/// Asks one DNS server over UDP: a few tries, a few seconds each. A diagnosis tool, not a resolver: no cache, no TCP.
package struct DNSClient: Sendable {
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case badName
        case noAnswer(server: String)
        case truncated
        case unreachable(server: String, reason: String)

        package var description: String {
            switch self {
            case .badName: "not a name that DNS can hold"
            case .noAnswer(let server): "the DNS server \(server) does not answer"
            case .truncated: "the answer does not fit into a datagram"
            case .unreachable(let server, let reason): "the DNS server \(server) cannot be asked: \(reason)"
            }
        }
    }

    package let server: Endpoint
    private let group: any EventLoopGroup
    private let tries: Int
    private let patience: TimeAmount

    package init(
        server: Endpoint, group: any EventLoopGroup, tries: Int = 3, patience: TimeAmount = .seconds(2)
    ) {
        self.server = server
        self.group = group
        self.tries = tries
        self.patience = patience
    }

    package func ask(_ question: DNSQuestion) async throws(Failure) -> DNSAnswer {
        var query = ByteBuffer()
        let id = UInt16(truncatingIfNeeded: SecureRandom.uniform(in: 0..<65_536))
        guard question.encode(id: id, into: &query) else { throw .badName }
        let eventLoop = group.next()
        let answer = eventLoop.makePromise(of: DNSAnswer.self)
        let channel: any Channel
        do {
            let address = try SocketAddress(ipAddress: server.host, port: server.port)
            // Connected, so that the kernel drops datagrams from anybody else and reports a closed port.
            channel = try await DatagramBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            DNSExchangeHandler(id: id, question: question, answer: answer))
                    }
                }
                .connect(to: address).get()
        } catch {
            answer.fail(Failure.noAnswer(server: server.description))
            throw .unreachable(server: server.description, reason: "\(error)")
        }
        let repetition = channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: patience) {
            [tries, query] _ in
            // The handler counts, since it also knows when an answer has come.
            channel.pipeline.fireUserInboundEventTriggered(DNSExchangeHandler.Turn(query: query, limit: tries))
        }
        defer {
            repetition.cancel()
            channel.close(promise: nil)
        }
        do {
            return try await answer.futureResult.get()
        } catch let failure as Failure {
            throw failure
        } catch DNSAnswer.DecodingError.truncated {
            throw .truncated
        } catch {
            throw .noAnswer(server: server.description)
        }
    }
}

/// One question on one socket: sends at each turn, takes the first datagram that answers it.
private final class DNSExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    struct Turn: Sendable {
        var query: ByteBuffer
        var limit: Int
    }

    private let id: UInt16
    private let question: DNSQuestion
    private let answer: EventLoopPromise<DNSAnswer>
    private var turns = 0

    init(id: UInt16, question: DNSQuestion, answer: EventLoopPromise<DNSAnswer>) {
        self.id = id
        self.question = question
        self.answer = answer
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let turn = event as? Turn else { return context.fireUserInboundEventTriggered(event) }
        turns += 1
        guard turns <= turn.limit, let remote = context.remoteAddress else {
            return answer.fail(CancellationError())
        }
        let envelope = AddressedEnvelope(remoteAddress: remote, data: turn.query)
        context.writeAndFlush(NIOAny(envelope), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        do throws(DNSAnswer.DecodingError) {
            answer.succeed(try DNSAnswer.decode(unwrapInboundIn(data).data, id: id, question: question))
        } catch {
            // Anything but a cut answer to this very question may come from somebody else: wait for the right one.
            if error == .truncated { answer.fail(error) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // ECONNREFUSED of one datagram; a later try may find the server back.
    }
}
