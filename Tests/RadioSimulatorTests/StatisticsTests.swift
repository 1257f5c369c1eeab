import HFNode
import NIOCore
import Testing

@testable import RadioSimulator

/// What two nodes count of their radio.
struct StatisticsTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000)

    private func statistics(_ transmissions: [(HFNodeSide, from: Int64, for: Int64)]) -> RadioNodesStatistics {
        var statistics = RadioNodesStatistics()
        for (side, from, duration) in transmissions {
            statistics.transmitted(side, at: start + .seconds(from), for: .seconds(duration))
        }
        return statistics
    }

    @Test
    func `Without a transmission nothing is in use`() {
        let statistics = statistics([])
        #expect(statistics.duration == .zero)
        #expect(statistics.onAirShare == 0)
        #expect(statistics.utilisation(bitsPerSecond: 1200) == 0)
    }

    @Test
    func `Transmissions in turn leave the pauses free`() {
        let statistics = statistics([(.first, from: 0, for: 4), (.second, from: 6, for: 2), (.first, from: 9, for: 1)])
        #expect(statistics.duration == .seconds(10))
        #expect(statistics.onAirShare == 0.7)
        #expect(statistics.first.onAir == .seconds(5))
        #expect(statistics.second.onAir == .seconds(2))
        #expect(statistics.first.bursts == 2)
    }

    @Test
    func `Who transmit at once fill the same air`() {
        #expect(statistics([(.first, from: 0, for: 10), (.second, from: 1, for: 10)]).onAirShare == 1)
        #expect(statistics([(.first, from: 0, for: 10), (.second, from: 1, for: 2), (.first, from: 10, for: 1)]).onAirShare == 1)
        #expect(statistics([(.first, from: 0, for: 4), (.second, from: 2, for: 4), (.first, from: 8, for: 2)]).onAirShare == 0.8)
    }
}
