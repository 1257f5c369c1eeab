package import NIOCore

/// The time of a simulation that runs faster or slower than the clock on the wall.
package struct SimulatedClock: Sendable {
    /// Both times of the beginning.
    package let start: NIODeadline
    private let wallStart: NIODeadline
    /// Seconds of the simulation in a second, more than 0.
    package let speed: Double

    package static let speeds = 0.01...100_000.0

    package init(start: NIODeadline, wallStart: NIODeadline, speed: Double) {
        self.start = start
        self.wallStart = wallStart
        self.speed = min(max(speed, Self.speeds.lowerBound), Self.speeds.upperBound)
    }

    package func time(at wall: NIODeadline) -> NIODeadline {
        start + .nanoseconds(Int64(Double((wall - wallStart).nanoseconds) * speed))
    }

    /// When a time of the simulation has come; rounded up, so that it has then.
    package func wall(at time: NIODeadline) -> NIODeadline {
        wallStart + .nanoseconds(Int64((Double((time - start).nanoseconds) / speed).rounded(.up)))
    }
}
