import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

@testable import Admin

@Suite(.timeLimit(.minutes(5)))
struct AdminServiceTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    /// A short path of its own for each test; Unix socket paths are limited to 107 bytes.
    private func temporaryPath() -> String {
        "/tmp/sw-\(UInt32.random(in: .min ... .max))/c"
    }

    private func withDirectory<R>(of path: String, _ body: () async throws -> R) async throws -> R {
        let directory = URL(fileURLWithPath: path).deletingLastPathComponent()
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        return try await body()
    }

    /// Runs the service, waits until it is ready, runs `body`, shuts down gracefully.
    private func withService<R: Sendable>(
        at path: String, _ routes: [AdminRoute], _ body: @escaping @Sendable (AdminClient) async throws -> R
    ) async throws -> R {
        let (ready, readiness) = AsyncStream.makeStream(of: Void.self)
        let service = AdminService(
            socketPath: path, routes: routes, eventLoopGroup: group, logger: Logger(label: "test"),
            onReady: { readiness.yield() })
        let services = ServiceGroup(services: [service], logger: Logger(label: "test"))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { readiness.finish() }
                try await services.run()
            }
            guard await ready.first(where: { true }) != nil else {
                try await tasks.waitForAll()
                throw CancellationError()
            }
            let result = try await body(AdminClient(socketPath: path, eventLoopGroup: group))
            await services.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return result
        }
    }

    @Test func `status answers from a socket that only its owner can open, and leaves nothing behind`() async throws {
        let path = temporaryPath()
        try await withDirectory(of: path) {
            let mode = try await withService(at: path, [.status { Array(#"{"peers":[]}"#.utf8) }]) { client in
                let first = try await client.get("/status")
                #expect(first == .init(status: 200, body: Array(#"{"peers":[]}"#.utf8)))
                let second = try await client.get("/status")
                #expect(second == first)
                let unknown = try await client.get("/nothing-here")
                #expect(unknown.status == 404)
                return try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            }
            #expect(mode == 0o600)
            let left = try FileManager.default.contentsOfDirectory(atPath: String(path.dropLast(2)))
            #expect(left.isEmpty)
        }
    }

    @Test func `further routes and a failing one stand beside status`() async throws {
        struct Broken: Error {}
        let path = temporaryPath()
        try await withDirectory(of: path) {
            let routes: [AdminRoute] = [
                .status { [0x31] },
                AdminRoute(path: "/metrics", contentType: "text/plain") { Array(repeating: 0x61, count: 300_000) },
                AdminRoute(path: "/broken") { throw Broken() },
            ]
            try await withService(at: path, routes) { client in
                let metrics = try await client.get("/metrics")
                #expect(metrics.body.count == 300_000)
                let broken = try await client.get("/broken")
                #expect(broken == .init(status: 500, body: []))
                let status = try await client.get("/status")
                #expect(status.body == [0x31])
            }
        }
    }

    @Test func `a stale socket is replaced`() async throws {
        let path = temporaryPath()
        try await withDirectory(of: path) {
            // Closing a listener removes its file, so the file is moved away first, as a crash would leave it.
            let crashed = try await ServerBootstrap(group: group).bind(unixDomainSocketPath: path + "x").get()
            try FileManager.default.moveItem(atPath: path + "x", toPath: path)
            try await crashed.close()
            #expect(FileManager.default.fileExists(atPath: path))
            let answer = try await withService(at: path, [.status { [0x32] }]) { try await $0.get("/status") }
            #expect(answer.body == [0x32])
        }
    }

    @Test func `a socket on which another process answers is left alone`() async throws {
        let path = temporaryPath()
        try await withDirectory(of: path) {
            let other = try await ServerBootstrap(group: group).bind(unixDomainSocketPath: path).get()
            let error = await #expect(throws: AdminError.self) {
                try await withService(at: path, [.status { [] }]) { try await $0.get("/status") }
            }
            #expect(error?.code == .inUse)
            try await other.close()
        }
    }

    @Test func `an ordinary file at the path is not removed`() async throws {
        let path = temporaryPath()
        try await withDirectory(of: path) {
            try Data("keep".utf8).write(to: URL(fileURLWithPath: path))
            let error = await #expect(throws: AdminError.self) {
                try await withService(at: path, [.status { [] }]) { _ in }
            }
            #expect(error?.code == .notASocket)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("keep".utf8))
        }
    }

    @Test(arguments: ["/tmp/sw-no-such-directory/c", "/tmp/" + String(repeating: "x", count: 120)])
    func `a path that cannot be used is an error that names it`(path: String) async throws {
        let error = await #expect(throws: AdminError.self) {
            try await withService(at: path, [.status { [] }]) { _ in }
        }
        #expect(error?.code == .unusablePath)
        #expect(error?.description.contains(path) == true)
    }

    @Test func `the client says when nobody answers`() async throws {
        let path = temporaryPath()
        let error = await #expect(throws: AdminError.self) {
            try await AdminClient(socketPath: path, eventLoopGroup: group).get("/status")
        }
        #expect(error?.code == .notRunning)
    }

    @Test func `the client gives up on an answer that is late, too long or cut short`() async throws {
        let path = temporaryPath()
        try await withDirectory(of: path) {
            let server = try await ServerBootstrap(group: group)
                .childChannelInitializer { $0.pipeline.addHandler(Scripted()) }
                .bind(unixDomainSocketPath: path).get()
            let client = AdminClient(
                socketPath: path, eventLoopGroup: group, timeout: .milliseconds(300), maximumBytes: 10)
            for target in ["/silent", "/long", "/cut"] {
                let error = await #expect(throws: AdminError.self, "\(target)") { try await client.get(target) }
                #expect(error?.code == .badAnswer, "\(target)")
            }
            try await server.close()
        }
    }
}

/// Answers by the path asked for: not at all, with too much, or with half of what it promised.
private final class Scripted: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let request = String(buffer: unwrapInboundIn(data))
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
        if request.hasPrefix("GET /long") {
            let text = answer + String(repeating: "x", count: 100)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        } else if request.hasPrefix("GET /cut") {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer + "xx")), promise: nil)
            context.close(promise: nil)
        }
    }
}
