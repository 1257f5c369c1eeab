import Foundation
import HFNode
import HFNodeServer
import LinkCatalogue
import NIOCore
import NIOPosix
import RadioSimulator
import STANAG5066
import TestSupport
import Testing

@Suite("Nodes behind ports")
struct RunningNodesTests {
    private static func settings(_ name: String, speed: Double) throws -> RunningNodes.Settings {
        let directory = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        var settings = RunningNodes.Settings(link: try LinkFiles(own: ["/\(directory)/sim/links"]).link(name))
        settings.places = [("127.0.0.1", 0), ("127.0.0.1", 0)]
        settings.speed = speed
        return settings
    }

    @Test(arguments: ["hf-lab-1200S", "hf-skywave-poor-1200L"])
    func `clients over TCP exchange traffic, and all of it is in the capture`(_ name: String) async throws {
        var settings = try Self.settings(name, speed: 1_000)
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let path = "\(directory.path)/nodes.pcapng"
        settings.capturePath = path
        let nodes = try await RunningNodes.start(settings)
        let result = try await nodes.runSelfTest(units: 12, limit: .hours(24))
        let (statistics, _) = try await nodes.statistics()
        let failure = try await nodes.stop()
        #expect(result.isSuccess)
        #expect(failure == nil)
        for (index, outcome) in result.outcomes.enumerated() {
            #expect(outcome.arrived == 12, "from node \(index + 1)")
            #expect(outcome.confirmed == 12, "from node \(index + 1)")
        }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(bytes.starts(with: [0x0A, 0x0D, 0x0D, 0x0A]))
        // D_PDUs carry it once, SIS twice.
        #expect(bytes.count > 3 * statistics.first.bytesDelivered)
    }

    @Test func `a self test over a link that is cut fails, and says what is missing`() async throws {
        let nodes = try await RunningNodes.start(try Self.settings("hf-lab-1200S", speed: 10_000))
        try await nodes.act { $0.linkCut(true, now: $1) }
        let result = try await nodes.runSelfTest(units: 3, limit: .minutes(30))
        try await nodes.stop()
        #expect(!result.isSuccess)
        #expect(result.outcomes.map(\.arrived) == [0, 0])
        #expect(result.outcomes.map(\.confirmed) == [0, 0])
    }

    /// What a client reads until the connection ends.
    private static func answers(to bytes: ByteBuffer, at address: SocketAddress) async throws -> [UInt8] {
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await client.executeThenClose { inbound, outbound in
            try await outbound.write(bytes)
            var read: [UInt8] = []
            for try await part in inbound { read += part.readableBytesView }
            return read
        }
    }

    @Test func `a client that speaks something else is cut off, and the node serves the next one`() async throws {
        let nodes = try await RunningNodes.start(try Self.settings("hf-lab-1200S", speed: 1_000))
        let read = try await Self.answers(to: ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n"), at: nodes.addresses[0])
        #expect(read.isEmpty)
        // A bind is answered; what follows is no primitive.
        var bytes = ByteBuffer()
        SISPrimitive.bindRequest(
            BindRequest(sap: .rcop, rank: 0, service: ServiceType(.arq, confirmation: .node))
        ).encode(into: &bytes)
        bytes.writeString("nonsense")
        let second = try await Self.answers(to: bytes, at: nodes.addresses[0])
        #expect(second == [0x90, 0xEB, 0x00, 0x00, 0x04, 0x03, 0x60, 0x08, 0x00])
        try await nodes.stop()
    }

    @Test func `a port that is taken is said to be`() async throws {
        let nodes = try await RunningNodes.start(try Self.settings("hf-lab-1200S", speed: 1))
        var settings = try Self.settings("hf-lab-1200S", speed: 1)
        let port = try #require(nodes.addresses[1].port)
        settings.places[1] = ("127.0.0.1", port)
        let failure = await #expect(throws: RunningNodes.Failure.self) { _ = try await RunningNodes.start(settings) }
        #expect(failure?.description.contains("127.0.0.1:\(port)") == true)
        try await nodes.stop()
    }
}

struct SimulatedClockTests {
    @Test(arguments: [0.5, 1, 60, 1_000])
    func `a time of the simulation has come when its time on the wall has`(_ speed: Double) {
        let start = NIODeadline.uptimeNanoseconds(5_000_000_000)
        let wallStart = NIODeadline.uptimeNanoseconds(77_000_000_001)
        let clock = SimulatedClock(start: start, wallStart: wallStart, speed: speed)
        #expect(clock.time(at: wallStart) == start)
        for nanoseconds in [1, 999, 1_000_003, 12_345_678_901] as [Int64] {
            let time = start + .nanoseconds(nanoseconds)
            let wall = clock.wall(at: time)
            #expect(clock.time(at: wall) >= time)
            #expect(clock.time(at: wall - .nanoseconds(3)) < time)
        }
    }
}
