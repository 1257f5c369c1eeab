import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import TLS

/// Each in a process of its own: what other tests allocate meanwhile does not count.
@Suite("TLS memory is bounded")
struct MemoryTests {
    struct TooMuch: Error, CustomStringConvertible {
        let description: String
    }

    /// What the process had to say.
    private static func report(_ result: ExitTest.Result?) {
        let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
        if result?.exitStatus != .exitCode(0) { Issue.record(Comment(rawValue: text)) }
    }

    /// Runs the body and ends the process, successfully unless it throws.
    private static func run(_ body: (_ client: TLSContext, _ server: TLSContext) throws -> Void) -> Never {
        do {
            let authority = try TestAuthority()
            try body(
                try TLSContext(.testClient(authority.trust)),
                try TLSContext(.testServer(try authority.identity("hq.example"))))
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(EXIT_FAILURE)
        }
        exit(EXIT_SUCCESS)
    }

    private static func residentBytes() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(fields.count > 1 ? Int(fields[1]) : nil) * 4096
    }

    /// Throws when the process has grown by more than `limit` bytes since `before`.
    private static func check(since before: Int, limit: Int) throws {
        let growth = try self.residentBytes() - before
        guard growth <= limit else {
            throw TooMuch(description: "grew by \(growth) bytes; \(limit) are allowed")
        }
    }

    @Test("memory does not grow with what passes through")
    func transfer() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            MemoryTests.run { client, server in
                let wire = try Wire(client: .client(client, serverName: "hq.example"), server: .server(server))
                let payload = ByteBuffer(repeating: 0x20, count: 1 << 20)
                func pass(mebibytes: Int) throws {
                    for _ in 0..<mebibytes {
                        wire.client.channel.writeAndFlush(payload, promise: nil)
                        try wire.carry(from: wire.client, to: wire.server, pieces: 65_536)
                    }
                }
                try wire.run()
                try pass(mebibytes: 8)
                let before = try MemoryTests.residentBytes()
                try pass(mebibytes: 128)
                try MemoryTests.check(since: before, limit: 8 << 20)
                guard wire.server.recorder.byteCount == 136 << 20 else {
                    throw TooMuch(description: "bytes are missing")
                }
            }
        }
        Self.report(result)
    }

    @Test("connections leave nothing behind, however they end")
    func leaks() async {
        let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
            MemoryTests.run { client, server in
                func connect(_ count: Int) throws {
                    for number in 0..<count {
                        let wire = try Wire(client: .client(client, serverName: "hq.example"), server: .server(server))
                        wire.client.send("<message/>")
                        switch number % 4 {
                        case 0:
                            try wire.carry(from: wire.client, to: wire.server)
                        case 1:
                            try wire.server.channel.writeInbound(ByteBuffer(string: "garbage that is no TLS"))
                        case 2:
                            try wire.run()
                            _ = wire.client.channel.close()
                        default:
                            try wire.run()
                        }
                        wire.loop.run()
                        wire.client.loseConnection()
                        wire.server.loseConnection()
                        for end in [wire.client, wire.server] { end.channel.close(promise: nil) }
                        wire.loop.run()
                    }
                }
                try connect(400)
                let before = try MemoryTests.residentBytes()
                try connect(1600)
                // A leak of one SSL in a quarter of the connections would show as more than 10 MB.
                try MemoryTests.check(since: before, limit: 3 << 20)
            }
        }
        Self.report(result)
    }
}
