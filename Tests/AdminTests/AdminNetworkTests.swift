import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Testing

@testable import Admin

/// The endpoint on a TCP address.
@Suite(.timeLimit(.minutes(5))) struct AdminNetworkTests {
    private let group = MultiThreadedEventLoopGroup.singleton
    private static let secret = "0123456789abcdef0123456789abcdef"

    private var routes: [AdminRoute] {
        [
            AdminRoute(path: "/metrics", access: .open) { _ in .text("up 1\n") },
            AdminRoute(path: "/status") { _ in .json("{}") },
            AdminRoute(.post, path: "/queue/cancel") { request in .text("cancelled \(request["id"] ?? "nothing")\n") },
        ]
    }

    /// Runs the service at a loopback address and asks each question on a connection of its own.
    private func answers(
        token: AdminToken?, _ questions: [(method: HTTPMethod, target: String, authorization: String?)]
    ) async throws -> [(status: Int, body: String)] {
        let (ready, readiness) = AsyncStream.makeStream(of: SocketAddress.self)
        let service = try AdminNetworkService(
            host: "127.0.0.1", port: 0, token: token, routes: routes, eventLoopGroup: group,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onReady: { if let address = $0 { readiness.yield(address) } })
        let services = ServiceGroup(services: [service], logger: Logger(label: "test"))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { readiness.finish() }
                try await services.run()
            }
            guard let address = await ready.first(where: { _ in true }) else {
                try await tasks.waitForAll()
                throw CancellationError()
            }
            var answers: [(status: Int, body: String)] = []
            for question in questions {
                answers.append(try await ask(address, question.method, question.target, question.authorization))
            }
            await services.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return answers
        }
    }

    private func ask(
        _ address: SocketAddress, _ method: HTTPMethod, _ target: String, _ authorization: String?
    ) async throws -> (status: Int, body: String) {
        let promise = group.next().makePromise(of: (Int, String).self)
        let channel = try await ClientBootstrap(group: promise.futureResult.eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(Collector(promise))
                }
            }
            .connect(to: address).get()
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: target)
        head.headers = ["host": "localhost", "content-length": "0"]
        if let authorization { head.headers.add(name: "authorization", value: authorization) }
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        let answer = try await promise.futureResult.get()
        try? await channel.close()
        return answer
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private let promise: EventLoopPromise<(Int, String)>
        private var status = 0
        private var body = ""

        init(_ promise: EventLoopPromise<(Int, String)>) {
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): status = Int(head.status.code)
            case .body(let part): body += String(buffer: part)
            case .end: promise.succeed((status, body))
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(ChannelError.eof)
        }
    }

    @Test func `a loopback address without a token tells numbers and nothing else`() async throws {
        let answers = try await answers(
            token: nil,
            [(.GET, "/metrics", nil), (.GET, "/status", nil), (.POST, "/queue/cancel?id=7", nil), (.GET, "/x", nil)])
        #expect(answers.map(\.status) == [200, 403, 403, 404])
        #expect(answers[0].body == "up 1\n")
        #expect(answers[1].body.contains("Unix socket"))
    }

    @Test func `with a token everything is answered to who knows it, and nothing to anybody else`() async throws {
        let token = try #require(AdminToken(Self.secret + "\n"))
        let good = "Bearer \(Self.secret)"
        let answers = try await answers(
            token: token,
            [
                (.GET, "/metrics", good), (.GET, "/status", "bearer  \(Self.secret)"),
                (.POST, "/queue/cancel?id=7&peer=shore", good), (.GET, "/metrics", nil),
                (.GET, "/metrics", "Bearer " + Self.secret.dropLast() + "e"),
                (.GET, "/metrics", "Bearer \(Self.secret)0"), (.GET, "/metrics", "Basic \(Self.secret)"),
                (.GET, "/metrics", "Bearer"), (.GET, "/queue/cancel", good),
            ])
        #expect(answers.map(\.status) == [200, 200, 200, 401, 401, 401, 401, 401, 404])
        #expect(answers[2].body == "cancelled 7\n")
        #expect(answers[3].body.contains("Authorization"))
    }

    @Test(arguments: ["0.0.0.0", "10.1.2.3", "::", "::ffff:127.0.0.1", "localhost"])
    func `no other address without a token`(host: String) {
        let error = #expect(throws: AdminError.self) {
            try AdminNetworkService(
                host: host, port: 0, token: nil, routes: [], eventLoopGroup: group, logger: Logger(label: "test"))
        }
        #expect(error?.code == .tokenMissing)
    }

    @Test func `an address that is taken is an error that says so`() async throws {
        let other = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let service = try AdminNetworkService(
            host: "127.0.0.1", port: other.localAddress?.port ?? 0, token: nil, routes: [], eventLoopGroup: group,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let error = await #expect(throws: AdminError.self) { try await service.run() }
        #expect(error?.code == .cannotListen)
        try await other.close()
    }

    @Test func `a token is one line of at least 32 visible characters, and compared as a whole`() throws {
        #expect(AdminToken("short") == nil)
        #expect(AdminToken(String(repeating: "a", count: 31)) == nil)
        #expect(AdminToken(String(repeating: "a", count: 31) + " a") == nil)
        #expect(AdminToken(Self.secret + "\nmore") == nil)
        #expect(AdminToken(String(repeating: "ä", count: 40)) == nil)
        let token = try #require(AdminToken(Self.secret + "\r\n"))
        #expect(token.matches(Array(Self.secret.utf8)))
        for index in 0..<32 {
            var other = Array(Self.secret.utf8)
            other[index] ^= 1
            #expect(!token.matches(other), "\(index)")
        }
        #expect(!token.matches([]) && !token.matches(Array((Self.secret + Self.secret).utf8)))
    }
}
