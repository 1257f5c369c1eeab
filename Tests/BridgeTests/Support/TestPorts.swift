import NIOCore
import NIOPosix

/// Ports that a test can give up and take again.
enum TestPorts {
    /// A port that nobody listens at, below the range that the kernel gives to connections (Linux: from 32 768 on): what is
    /// in that range may belong to somebody else by the time a restart wants it back.
    static func free(on group: any EventLoopGroup) async throws -> Int {
        var failure: (any Error)?
        for _ in 0..<50 {
            do {
                let port = Int.random(in: 20_000..<32_000)
                let channel = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: port).get()
                try await channel.close()
                return port
            } catch {
                failure = error
            }
        }
        throw failure ?? ChannelError.operationUnsupported
    }
}
