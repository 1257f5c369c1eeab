import Foundation
import NIOCore
import NIOPosix

/// Sets the ends up, warms up, runs the load and prints one line of `name value` pairs.
final class LoadRunner: Sendable {
    private let eventLoop: any EventLoop
    private let load: NIOLoopBound<Load>
    private let options: LoadOptions

    init(senderDomain: String, receiverDomain: String, options: LoadOptions) throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        self.eventLoop = eventLoop
        self.options = options
        load = try eventLoop.submit {
            NIOLoopBound(
                Load(
                    eventLoop: eventLoop,
                    messages: LoadMessages(
                        from: senderDomain, to: receiverDomain, pairs: options.pairs, seed: options.seed),
                    window: options.window), eventLoop: eventLoop)
        }.wait()
    }

    func run(setUp: (LoadRunner) async throws -> Void) async throws {
        try await setUp(self)
        _ = try await measure(count: options.warmUp)
        if options.wait {
            print("ready")
            fflush(nil)
            _ = readLine()
        }
        let result = try await measure(count: options.messages)
        let arrivals = result.arrivals
        let rate = result.seconds > 0 ? Double(arrivals.received) / result.seconds : 0
        print(
            "messages \(arrivals.received) seconds \(String(format: "%.3f", result.seconds)) rate \(Int(rate)) "
                + "missing \(arrivals.missing) duplicates \(arrivals.duplicates) out-of-order \(arrivals.outOfOrder) "
                + "errors \(arrivals.strangers)")
        guard arrivals.missing == 0, arrivals.duplicates == 0, arrivals.outOfOrder == 0, arrivals.strangers == 0 else {
            throw LoadError(description: "not everything arrived once and in order")
        }
    }

    private func measure(count: Int) async throws -> Load.Result {
        try await eventLoop.flatSubmit { [load, options] in
            load.value.run(count: count, patience: .seconds(options.patience))
        }.get()
    }

    // MARK: Ends

    /// Connects and waits until the stream is negotiated.
    func connect(to endpoint: Endpoint, role: EndRole, isSender: Bool) async throws {
        let ready = eventLoop.makePromise(of: Void.self)
        let handler = { @Sendable [load, eventLoop] in
            Self.handler(role: role, isSender: isSender, load: load.value, ready: ready, eventLoop: eventLoop)
        }
        do {
            _ = try await ClientBootstrap(group: eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(handler())
                    }
                }
                .connect(host: endpoint.host, port: endpoint.port).get()
        } catch {
            ready.fail(error)
        }
        let timeout = eventLoop.scheduleTask(in: .seconds(options.patience)) {
            ready.fail(LoadError(description: "no stream with \(endpoint.host):\(endpoint.port) in time"))
        }
        defer { timeout.cancel() }
        try await ready.futureResult.get()
    }

    /// Listens as the server of `domain`.
    func listen(at endpoint: Endpoint, domain: String, isSender: Bool) async throws {
        let load = load
        let eventLoop = eventLoop
        _ = try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Self.handler(
                            role: .accepting(domain: domain), isSender: isSender, load: load.value, ready: nil,
                            eventLoop: eventLoop))
                }
            }
            .bind(host: endpoint.host, port: endpoint.port).get()
    }

    private static func handler(
        role: EndRole, isSender: Bool, load: Load, ready: EventLoopPromise<Void>?, eventLoop: any EventLoop
    ) -> EndHandler {
        EndHandler(
            role: role,
            onReady: { channel in
                if isSender, ready != nil { load.senderReady(channel) }
                ready?.succeed()
            },
            onMessages: { scanner in
                if isSender {
                    load.receiveAtSender(&scanner)
                } else {
                    load.receive(&scanner)
                }
            },
            onEnd: { reason in
                ready?.fail(LoadError(description: reason))
                load.fail(reason)
            })
    }
}
