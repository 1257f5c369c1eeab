package import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks the control endpoint of a running daemon; one connection per question.
package struct AdminClient: Sendable {
    package struct Answer: Equatable, Sendable {
        /// HTTP status code; 200 when the daemon knew the path and could answer.
        package var status: Int
        package var body: [UInt8]
    }

    private let path: String
    private let group: any EventLoopGroup
    private let timeout: TimeAmount
    private let maximumBytes: Int

    /// - Parameters:
    ///   - timeout: for the whole question and answer.
    ///   - maximumBytes: a longer answer is refused.
    package init(
        socketPath: String, eventLoopGroup: any EventLoopGroup, timeout: TimeAmount = .seconds(10),
        maximumBytes: Int = 16 << 20
    ) {
        path = socketPath
        group = eventLoopGroup
        self.timeout = timeout
        self.maximumBytes = maximumBytes
    }

    /// - Throws: ``AdminError`` `.notRunning` or `.badAnswer`.
    package func get(_ target: String) async throws -> Answer {
        try await ask(.GET, target)
    }

    /// Asks for a change.
    ///
    /// - Throws: ``AdminError`` `.notRunning` or `.badAnswer`.
    package func post(_ target: String) async throws -> Answer {
        try await ask(.POST, target)
    }

    private func ask(_ method: HTTPMethod, _ target: String) async throws -> Answer {
        let promise = group.next().makePromise(of: Answer.self)
        let (path, maximumBytes) = (path, maximumBytes)
        let bootstrap = ClientBootstrap(group: promise.futureResult.eventLoop).connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(
                        AnswerCollector(promise: promise, path: path, maximumBytes: maximumBytes))
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.connect(unixDomainSocketPath: path).get()
        } catch {
            promise.fail(error)
            throw AdminError(
                .notRunning, path: path, "nobody answers (\(error)); is the daemon running, and as this user?")
        }
        let deadline = channel.eventLoop.scheduleTask(in: timeout) {
            promise.fail(AdminError(.badAnswer, path: path, "no answer in time; the daemon may be overloaded"))
        }
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: target)
        head.headers = ["host": "localhost", "connection": "close"]
        if method == .POST { head.headers.add(name: "content-length", value: "0") }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        defer {
            deadline.cancel()
            channel.close(promise: nil)
        }
        return try await promise.futureResult.get()
    }
}

/// Gathers one HTTP answer.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<AdminClient.Answer>
    private let path: String
    private let maximumBytes: Int
    private var answer = AdminClient.Answer(status: 0, body: [])

    init(promise: EventLoopPromise<AdminClient.Answer>, path: String, maximumBytes: Int) {
        self.promise = promise
        self.path = path
        self.maximumBytes = maximumBytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): answer.status = Int(head.status.code)
        case .body(let part):
            guard answer.body.count + part.readableBytes <= maximumBytes else {
                return errorCaught(
                    context: context,
                    error: AdminError(.badAnswer, path: path, "the answer is longer than \(maximumBytes) bytes"))
            }
            answer.body.append(contentsOf: part.readableBytesView)
        case .end: promise.succeed(answer)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error is AdminError ? error : AdminError(.badAnswer, path: path, "\(error)"))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // No effect after an answer: the first result of a promise stands.
        promise.fail(AdminError(.badAnswer, path: path, "the connection ended before the answer was complete"))
    }
}
