import Blocks
import NIOCore
import NIOPosix
import TestSupport
import XMPP

@testable import Transports

/// Two links that are joined by a plain connection.
struct LinkPair {
    let dialler: TestLink
    let acceptor: TestLink
    let listener: TestListener
    let remote: TCPLinkConfiguration.Remote

    func close() async throws {
        async let one: Void = dialler.close()
        async let two: Void = acceptor.close()
        _ = try await (one, two)
        try await listener.close()
    }
}

/// What the suites of plain links share.
protocol PlainLinkSuite {
    var loop: any EventLoop { get }
    var addresses: TestAddresses { get }
}

extension PlainLinkSuite {
    func configuration(
        _ peer: String, remote: TCPLinkConfiguration.Remote? = nil, listens: Bool = false, from local: String,
        sources: LinkSources
    ) -> TCPLinkConfiguration {
        var configuration = TCPLinkConfiguration(
            peer: peer, remote: remote, listens: listens, security: .insecure(sources))
        configuration.localAddress = local
        configuration.policy.reconnectMinimum = .milliseconds(20)
        configuration.policy.reconnectMaximum = .milliseconds(200)
        configuration.policy.closeTimeout = .milliseconds(500)
        return configuration
    }

    /// One side dials, the other listens; both are started.
    func pair(
        limits: LinkListener.Limits = .init(), _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> LinkPair {
        let listener = try await TestListener.make(addresses[1], limits: limits, on: loop)
        var accepting = configuration("ship", listens: true, from: addresses[1], sources: .only(addresses[2]))
        change(&accepting)
        let acceptor = try await TestLink.make(accepting, listener: listener, on: loop)
        try await acceptor.start()
        let remote = try await listener.bind()
        var dialling = configuration("shore", remote: remote, from: addresses[2], sources: .only(addresses[1]))
        change(&dialling)
        let dialler = try await TestLink.make(dialling, on: loop)
        try await dialler.start()
        return LinkPair(dialler: dialler, acceptor: acceptor, listener: listener, remote: remote)
    }

    /// A listening link alone; raw peers connect to it from `addresses[2]`.
    func acceptor(
        limits: LinkListener.Limits = .init(), _ change: (inout TCPLinkConfiguration) -> Void = { _ in }
    ) async throws -> (link: TestLink, listener: TestListener, remote: TCPLinkConfiguration.Remote) {
        let listener = try await TestListener.make(addresses[1], limits: limits, on: loop)
        var accepting = configuration("ship", listens: true, from: addresses[1], sources: .only(addresses[2]))
        change(&accepting)
        let link = try await TestLink.make(accepting, listener: listener, on: loop)
        try await link.start()
        return (link, listener, try await listener.bind())
    }

    func ids(_ count: Int, _ prefix: String = "m") -> [String] {
        (0..<count).map { "\(prefix)\($0)" }
    }
}
