import ArgumentParser
import ConfigurationText
import Foundation
import HFNode
import HFNodeServer
import LinkCatalogue
import NIOCore
import RadioSimulator
import STANAG5066
import UnixSignals

/// Two STANAG 5066 nodes on a modelled radio link.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node", abstract: "Runs two STANAG 5066 nodes that are joined by a modelled HF link.",
        discussion: """
            Each node serves clients over TCP as STANAG 5066 Annex F says (SIS); what they send crosses the modelled radio link \
            to the other node. The nodes run until SIGINT or SIGTERM, and then say what the link has carried. SIGUSR1 cuts the radio \
            link: nothing is received any more; SIGUSR2 makes it whole again.

            A link is a file sim/links/NAME.toml or a file of your own. With --pcap everything is written to a file that \
            Wireshark opens: D_PDUs as they are on the air, and SIS as TCP with port 5066.
            """)

    @Option(help: "The link: a name, or the path of a file.")
    var link: String

    @Option(help: "Where clients connect to the first and to the second node: HOST:PORT,HOST:PORT.")
    var listen: String?

    @Option(help: "The same on 127.0.0.1: two ports; 0 for any that is free. (default: 5066,5067)")
    var ports: String?

    @Option(help: "Addresses of the nodes. (default: 10.0.0.1,10.0.0.2)")
    var addresses: String?

    @Option(help: "Seconds of the link in one second. (default: 1; with --selftest 1000)")
    var speed: Double?

    @Option(help: "Chance of channel and nodes, instead of the link's own seed.")
    var seed: UInt64?

    @Option(help: ArgumentHelp("Write what passes to this file, for Wireshark.", valueName: "file"))
    var pcap: String?

    @Flag(help: "Let two built-in clients exchange sample traffic, and exit: 0 when all arrived, else 1.")
    var selftest = false

    @Option(help: "With --selftest: units from each side.")
    var units = 20

    @Flag(help: "Print addresses and the summary only.")
    var quiet = false

    func run() async throws {
        let settings = try settings()
        let printer = NodePrinter()
        let isQuiet = quiet
        let nodes: RunningNodes
        do {
            nodes = try await RunningNodes.start(settings) { event, time in
                if !isQuiet, let line = printer.line(event, time) { Self.say(line) }
            }
        } catch let error as RunningNodes.Failure {
            throw Self.failure(error)
        } catch let error as CaptureFile.Failure {
            throw Self.failure(error)
        }
        Self.say("link \(settings.link.name): \(settings.link.summary)")
        for side in HFNodeSide.allCases {
            let place = nodes.addresses[side.rawValue]
            Self.say(
                "node \(side.rawValue + 1), address \(settings.addresses[side.rawValue]): clients connect to "
                    + "\(place.ipAddress ?? "?"):\(place.port ?? 0)")
        }
        let isSuccess = selftest ? try await runSelfTest(nodes, settings) : try await waitForSignal(nodes)
        let (statistics, time) = try await nodes.statistics()
        let failure = try await nodes.stop()
        Self.say(printer.summary(statistics, time, settings.link))
        if let failure { throw Self.failure(failure) }
        if !isSuccess { throw ExitCode.failure }
    }

    /// Says what is wrong; not the fault of the command line.
    private static func failure(_ error: some CustomStringConvertible) -> ExitCode {
        FileHandle.standardError.write(Data("skywave-sim: \(error)\n".utf8))
        return .failure
    }

    /// At once, also through a pipe.
    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private func waitForSignal(_ nodes: RunningNodes) async throws -> Bool {
        for await signal in await UnixSignalsSequence(trapping: [.sigint, .sigterm, .sigusr1, .sigusr2]) {
            switch signal {
            case .sigusr1: try await nodes.act { $0.linkCut(true, now: $1) }
            case .sigusr2: try await nodes.act { $0.linkCut(false, now: $1) }
            default: return true
            }
        }
        return true
    }

    private func runSelfTest(_ nodes: RunningNodes, _ settings: RunningNodes.Settings) async throws -> Bool {
        let result = try await nodes.runSelfTest(units: units, limit: .hours(24))
        for (index, outcome) in result.outcomes.enumerated() {
            Self.say(
                """
                selftest: from node \(index + 1): \(outcome.sent) of \(units) units sent, \(outcome.arrived) arrived \
                (\(outcome.bytes) bytes), \(outcome.confirmed) confirmed, \(outcome.sentAgain) sent again, \
                \(outcome.arrivedTwice) arrived twice, \(outcome.outOfOrder) out of order, \(outcome.damaged) damaged; \
                latency \(NodePrinter.seconds(outcome.meanLatency)) on average, \
                \(NodePrinter.seconds(outcome.longestLatency)) at most
                """)
        }
        Self.say(result.isSuccess ? "selftest: nothing was lost" : "selftest: FAILED, something was lost or damaged")
        return result.isSuccess
    }

    // MARK: Options

    private func settings() throws -> RunningNodes.Settings {
        let link: RadioLink
        do {
            link = try LinkFiles().link(self.link)
        } catch {
            throw Self.failure(error.description)
        }
        var settings = RunningNodes.Settings(link: link)
        settings.seed = seed
        settings.speed = speed ?? (selftest ? 1_000 : 1)
        guard SimulatedClock.speeds.contains(settings.speed) else {
            throw ValidationError(
                "--speed \(settings.speed): from \(SimulatedClock.speeds.lowerBound) to \(Int(SimulatedClock.speeds.upperBound))")
        }
        guard (1...10_000).contains(units) else { throw ValidationError("--units \(units): from 1 to 10000") }
        settings.capturePath = pcap
        settings.origin = UInt64(max(0, Date().timeIntervalSince1970) * 1_000_000_000)
        settings.places = try places()
        if let addresses {
            let read = addresses.split(separator: ",", omittingEmptySubsequences: false).map { NodeAddress(String($0)) }
            guard read.count == 2, let first = read[0], let second = read[1], first != second, !first.isGroup, !second.isGroup
            else {
                throw ValidationError("--addresses \(addresses): two different node addresses as 10.0.0.1,10.0.0.2")
            }
            settings.addresses = [first, second]
        }
        return settings
    }

    private func places() throws -> [(host: String, port: Int)] {
        if listen != nil, ports != nil { throw ValidationError("--listen or --ports, not both") }
        if let listen {
            let places = listen.split(separator: ",", omittingEmptySubsequences: false).compactMap { Self.place($0) }
            guard places.count == 2 else {
                throw ValidationError("--listen \(listen): two places as 127.0.0.1:5066,[::1]:5066")
            }
            return places
        }
        guard let ports else {
            // A self test needs no port that somebody knows.
            return (selftest ? [0, 0] : [5_066, 5_067]).map { ("127.0.0.1", $0) }
        }
        let numbers = ports.split(separator: ",", omittingEmptySubsequences: false).compactMap { UInt16($0) }
        guard numbers.count == 2, numbers[0] != numbers[1] || numbers[0] == 0 else {
            throw ValidationError("--ports \(ports): two different ports as 5066,5067")
        }
        return numbers.map { ("127.0.0.1", Int($0)) }
    }

    private static func place(_ text: Substring) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        return host.isEmpty ? nil : (String(host), Int(port))
    }
}
