import NIOCore
import NIOPosix
import Testing

@testable import Transports

@Suite struct SISSocketTests {
    @Test func `a node that loses its power is missed also by a client that only listens`() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let eventLoop = group.next()
        let server = try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let connected = eventLoop.makePromise(of: Void.self)
        let socket = try await eventLoop.submit {
            let socket = SISSocket(.init(host: "127.0.0.1", port: port), timeout: .seconds(10), eventLoop: eventLoop)
            socket.onEvent = { event in
                switch event {
                case .connected: connected.succeed()
                case .failed, .closed: connected.fail(ChannelError.eof)
                case .bytes: break
                }
            }
            socket.dial()
            return NIOLoopBound(socket, eventLoop: eventLoop)
        }.get()
        try await connected.futureResult.get()
        // What the kernel will do: TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT (tcp(7)).
        let (isAsked, seconds) = try await eventLoop.submit {
            let options = try #require(socket.value.channel?.syncOptions)
            let numbers = try [4 as CInt, 5, 6].map { try options.getOption(.tcpOption(.init(rawValue: $0))) }
            return (try options.getOption(.socketOption(.so_keepalive)) != 0, numbers[0] + numbers[1] * numbers[2])
        }.get()
        #expect(isAsked && (30...180).contains(seconds), "\(seconds)")
        try await eventLoop.submit { socket.value.channel?.close(promise: nil) }.get()
        try await server.close()
    }
}
