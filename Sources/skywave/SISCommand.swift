import ArgumentParser
import Bridge
import ConfigurationText
import NIOCore
import NIOPosix
import STANAG5066
import TLS
import Transports
import UnixSignals

struct SISCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sis",
        abstract: "Tries out a STANAG 5066 node: binds, sends single U_PDUs, shows what comes.",
        discussion: """
            For a new radio, before any XMPP. While the bridge runs it holds its SAP; use another one with --sap, or stop it. \
            What is sent is the plain text, without the header that RCOP puts before it.
            """,
        subcommands: [Ping.self, Send.self, Listen.self])

    /// What all of them need.
    struct NodeOptions: ParsableArguments {
        @Option(help: ArgumentHelp("The node's subnetwork interface; nodes mostly listen on port 5066.", valueName: "host:port"))
        var node: String
        @Option(help: "The service access point to bind, 0 to 15.")
        var sap = 6
        @Option(help: "Rank of this client at the node, 0 to 14; 15 is for clients that may change the node (STANAG 5066 A.2.1.1).")
        var rank = 0
        @Option(help: ArgumentHelp("How long to wait, as in 30s or 10m.", valueName: "time"))
        var timeout: String?

        func place() throws -> SISSocket.Node {
            guard let endpoint = Endpoint(node) ?? Endpoint(node + ":5066") else {
                throw ValidationError("--node \(node): give \"HOST:PORT\", as in 127.0.0.1:5066")
            }
            return SISSocket.Node(host: endpoint.host, port: endpoint.port)
        }

        func client() throws -> SISClientConfiguration {
            guard let sap = SAP(sap) else { throw ValidationError("--sap \(sap): 0 to 15") }
            guard (0...14).contains(rank) else { throw ValidationError("--rank \(rank): 0 to 14") }
            return SISClientConfiguration(
                bind: BindRequest(sap: sap, rank: UInt8(rank), service: ServiceType(.arq, confirmation: .node)))
        }

        func patience(_ usual: TimeAmount) throws -> TimeAmount {
            guard let timeout else { return usual }
            guard let time = ConfigurationUnits.duration(timeout), time > .zero else {
                throw ValidationError("--timeout \(timeout): a time, as in 30s, 10m or 1h")
            }
            return time
        }
    }

    /// What a command does about something that happened.
    private enum Reaction {
        case goOn
        case end(ExitCode)
        /// Ends so much later if nothing else ends it, with something to say then.
        case endLater(TimeAmount, ExitCode, saying: String)
    }

    /// Runs until `body` says how it ends, a signal comes, or the time is over.
    private static func run(
        _ options: NodeOptions, patience: TimeAmount?,
        _ body: @escaping @Sendable (SISTerminal, SISTerminal.Event) -> Reaction
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        let (place, client) = (try options.place(), try options.client())
        let seed = SecureRandom.uniform(in: 0..<UInt64.max)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let promise = eventLoop.makePromise(of: ExitCode.self)
        let box = try await eventLoop.submit {
            let holder = Holder()
            let terminal = SISTerminal(place, client, seed: seed, eventLoop: eventLoop) { event in
                // What the farewell brings is no news.
                guard let terminal = holder.terminal, !holder.isEnded else { return }
                switch body(terminal, event) {
                case .goOn: break
                case .end(let code): holder.end(promise, code)
                case .endLater(let amount, let code, let text):
                    eventLoop.assumeIsolated().scheduleTask(in: amount) {
                        guard !holder.isEnded else { return }
                        Terminal.output(text)
                        holder.end(promise, code)
                    }
                }
            }
            holder.terminal = terminal
            terminal.start()
            return NIOLoopBound(holder, eventLoop: eventLoop)
        }.get()
        let signal = Task {
            for await _ in signals { break }
            eventLoop.execute { box.value.end(promise, .success) }
        }
        if let patience {
            eventLoop.scheduleTask(in: patience) {
                guard !box.value.isEnded else { return }
                Terminal.error("nothing more came in \(ConfigurationUnits.format(patience))")
                box.value.end(promise, .failure)
            }
        }
        let code = try await promise.futureResult.get()
        signal.cancel()
        try await eventLoop.submit { box.value.terminal?.stop() }.get()
        // Time for the farewell.
        try await Task.sleep(for: .milliseconds(200))
        try await group.shutdownGracefully()
        guard code == .success else { throw code }
    }

    private final class Holder {
        var terminal: SISTerminal?
        private(set) var isEnded = false

        func end(_ promise: EventLoopPromise<ExitCode>, _ code: ExitCode) {
            guard !isEnded else { return }
            isEnded = true
            promise.succeed(code)
        }
    }

    // MARK: ping

    struct Ping: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Binds, and shows what the node says of itself: its MTU, the state of the subnetwork.")

        @OptionGroup var options: NodeOptions

        func run() async throws {
            let place = try options.place()
            let start = NIODeadline.now()
            try await SISCommand.run(options, patience: options.patience(.seconds(30))) { _, event in
                switch event {
                case .bound(let mtu):
                    let milliseconds = (NIODeadline.now() - start).nanoseconds / 1_000_000
                    Terminal.output("\(place): SAP \(options.sap) bound in \(milliseconds) ms, MTU \(mtu) bytes")
                    Terminal.output("units of RCOP have \(mtu - RCOPHeader.byteCount) bytes of data in each U_PDU")
                    // A node that says it does so at once.
                    return .endLater(.seconds(1), .success, saying: "\(place): says nothing of the state of the subnetwork")
                case .subnet(let status, let reason):
                    Terminal.output("\(place): subnetwork \(status) (\(reason))")
                    return .end(.success)
                case .trouble(let text), .unbound(let text):
                    Terminal.error("\(place): \(text)")
                    return .end(.failure)
                case .creditAvailable, .ended, .delivered, .stopped: return .goOn
                }
            }
        }
    }

    // MARK: send

    struct Send: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sends U_PDUs to another node and says what became of each.")

        @OptionGroup var options: NodeOptions
        @Option(help: ArgumentHelp("The other node, as in 10.1.2.3.", valueName: "address"))
        var to: String
        @Option(help: "The service access point there; the same as --sap if not given.")
        var toSap: Int?
        @Option(help: "Who confirms: node, client or none.")
        var confirm = "client"
        @Option(help: "Priority in the node, 0 to 15.")
        var priority = 6
        @Option(help: ArgumentHelp("How long the node tries, as in 10m.", valueName: "time"))
        var lifetime = "10m"
        @Option(help: "How often it is sent.")
        var count = 1
        @Option(help: "Fill the text up to so many bytes.")
        var size = 0
        @Argument(help: "What is sent.")
        var text = "skywave sis test"

        private func request() throws -> UnidataRequest {
            guard let address = NodeAddress(to) else { throw ValidationError("--to \(to): a node address, as in 10.1.2.3") }
            guard let sap = SAP(toSap ?? options.sap) else { throw ValidationError("--to-sap: 0 to 15") }
            guard (0...15).contains(priority) else { throw ValidationError("--priority \(priority): 0 to 15") }
            guard (1...1_000_000).contains(count) else { throw ValidationError("--count \(count): 1 to 1000000") }
            guard let life = ConfigurationUnits.duration(lifetime), life > .zero else {
                throw ValidationError("--lifetime \(lifetime): a time, as in 10m")
            }
            let confirmations: [String: DeliveryConfirmation] = ["node": .node, "client": .client, "none": .none]
            guard let confirmation = confirmations[confirm] else {
                throw ValidationError("--confirm \(confirm): node, client or none")
            }
            var bytes = Array(text.utf8)
            if bytes.count < size { bytes += Array(repeating: UInt8(ascii: "."), count: size - bytes.count) }
            return UnidataRequest(
                priority: UInt8(priority), destinationSAP: sap, destination: address,
                delivery: ServiceType(.arq, confirmation: confirmation), timeToLive: TimeToLive(life),
                uPDU: ByteBuffer(bytes: bytes))
        }

        func validate() throws { _ = try request() }

        func run() async throws {
            let request = try request()
            let state = SendState(count: UInt64(count))
            try await SISCommand.run(options, patience: options.patience(.minutes(15))) { terminal, event in
                switch event {
                case .bound(let mtu):
                    guard request.uPDU.readableBytes <= mtu else {
                        Terminal.error("\(request.uPDU.readableBytes) bytes: the node takes at most \(mtu)")
                        return .end(.failure)
                    }
                    state.offer(request, to: terminal)
                case .creditAvailable: state.offer(request, to: terminal)
                case .ended(let id, let end):
                    let took = state.since.removeValue(forKey: id.number).map { NIODeadline.now() - $0 } ?? .zero
                    let seconds = Double(took.nanoseconds) / 1e9
                    let (said, isGood) = SISCommand.sentence(end)
                    Terminal.output("U_PDU \(id.number): \(said) after \(Self.format(seconds)) s")
                    if !isGood { state.failures += 1 }
                    state.offer(request, to: terminal)
                    if state.isFinished { return .end(state.failures == 0 ? .success : .failure) }
                case .trouble(let text), .unbound(let text): Terminal.error(text)
                case .subnet(let status, let reason): Terminal.output("subnetwork \(status) (\(reason))")
                case .delivered, .stopped: break
                }
                return .goOn
            }
        }

        private static func format(_ seconds: Double) -> String {
            let tenths = Int((seconds * 10).rounded())
            return "\(tenths / 10).\(tenths % 10)"
        }
    }

    /// What of the U_PDUs of one command is where. Confined to its event loop.
    private final class SendState: @unchecked Sendable {
        private let count: UInt64
        private var sent: UInt64 = 0
        var since: [UInt64: NIODeadline] = [:]
        var failures = 0

        init(count: UInt64) { self.count = count }

        var isFinished: Bool { sent == count && since.isEmpty }

        /// As many as the node takes now.
        func offer(_ request: UnidataRequest, to terminal: SISTerminal) {
            while sent < count, terminal.mayOffer(bytes: request.uPDU.readableBytes, to: request.destination) {
                sent += 1
                since[sent] = .now()
                terminal.send(request, id: SISUnitID(sent))
            }
        }
    }

    static func sentence(_ end: SISUnitEnd) -> (text: String, isGood: Bool) {
        switch end {
        case .confirmed(.client): ("confirmed by the far client", true)
        case .confirmed: ("confirmed by the far node", true)
        case .handedOver: ("given to the node", true)
        case .rejected(let reason): ("rejected: \(reason)", false)
        case .lost(let loss): ("nobody knows what became of it: \(loss)", false)
        case .notSent(let refusal): ("not sent: \(refusal)", false)
        }
    }

    // MARK: listen

    /// Confined to the event loop of one command.
    private final class Counter: @unchecked Sendable {
        var value = 0
    }

    struct Listen: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Binds, and shows every U_PDU that comes.")

        @OptionGroup var options: NodeOptions
        @Option(help: "End after so many; 0 for never.")
        var count = 0
        @Flag(help: "Show bytes as hexadecimal digits.")
        var hex = false

        func run() async throws {
            let (count, hex) = (count, hex)
            let shown = Counter()
            let patience = options.timeout == nil ? nil : try options.patience(.zero)
            try await SISCommand.run(options, patience: patience) { _, event in
                switch event {
                case .bound(let mtu): Terminal.error("bound to SAP \(options.sap), MTU \(mtu) bytes; waiting")
                case .delivered(let indication):
                    shown.value += 1
                    let bytes = indication.uPDU.readableBytesView
                    Terminal.output(
                        "from \(indication.source) SAP \(indication.sourceSAP), priority \(indication.priority), "
                            + "\(bytes.count) bytes: \(hex ? Self.digits(bytes) : Self.text(bytes))")
                    if shown.value == count { return .end(.success) }
                case .trouble(let text), .unbound(let text): Terminal.error(text)
                case .subnet(let status, let reason): Terminal.output("subnetwork \(status) (\(reason))")
                case .creditAvailable, .ended, .stopped: break
                }
                return .goOn
            }
        }

        private static func digits(_ bytes: ByteBufferView) -> String {
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
        }

        /// What a terminal takes without doing anything.
        private static func text(_ bytes: ByteBufferView) -> String {
            String(decoding: bytes, as: UTF8.self).unicodeScalars.map { scalar in
                scalar.properties.generalCategory == .control ? "·" : String(scalar)
            }.joined()
        }
    }
}
