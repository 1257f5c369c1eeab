import Glibc
package import NIOCore

/// The mean signal-to-noise ratio of a channel over time, in dB: what distance, hour and manoeuvre make of it.
package enum SNRSchedule: Hashable, Sendable {
    case constant(Double)
    /// Straight lines between points, which are in order of time. Before the first and after the last its value holds;
    /// with a `period` everything begins again.
    case points([Point], period: TimeAmount?)
    /// `mean + amplitude · sin(2π t / period)`.
    case sinusoid(mean: Double, amplitude: Double, period: TimeAmount)
    /// Evenly from one value to the other within `duration`, back in the same time, and so on.
    case sweep(from: Double, to: Double, duration: TimeAmount)

    package struct Point: Hashable, Sendable {
        /// Since the channel began.
        package var time: TimeAmount
        package var decibels: Double

        package init(time: TimeAmount, decibels: Double) {
            self.time = time
            self.decibels = decibels
        }
    }

    /// The mean at a time in seconds since the channel began.
    func decibels(at seconds: Double) -> Double {
        switch self {
        case .constant(let decibels): return decibels
        case .points(let points, let period):
            return Self.line(points, at: period.map { Self.remainder(seconds, $0.inSeconds) } ?? seconds)
        case .sinusoid(let mean, let amplitude, let period):
            return mean + amplitude * sin(2 * Double.pi * Self.remainder(seconds, period.inSeconds) / period.inSeconds)
        case .sweep(let from, let to, let duration):
            let place = Self.remainder(seconds, 2 * duration.inSeconds) / duration.inSeconds
            return from + (to - from) * (place <= 1 ? place : 2 - place)
        }
    }

    private static func line(_ points: [Point], at seconds: Double) -> Double {
        guard let next = points.firstIndex(where: { $0.time.inSeconds > seconds }) else {
            return points.last?.decibels ?? 0
        }
        guard next > 0 else { return points[0].decibels }
        let (left, right) = (points[next - 1], points[next])
        let part = (seconds - left.time.inSeconds) / (right.time.inSeconds - left.time.inSeconds)
        return left.decibels + part * (right.decibels - left.decibels)
    }

    private static func remainder(_ seconds: Double, _ period: Double) -> Double {
        seconds - (seconds / period).rounded(.down) * period
    }
}

extension TimeAmount {
    var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
