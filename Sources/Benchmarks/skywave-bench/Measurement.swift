import CAllocationCounter
import Glibc

/// What a number of runs of the same work cost.
struct Measurement {
    /// Work items of one run.
    var items: Int
    /// Seconds of CPU time of this thread, one per run.
    var cpuSeconds: [Double] = []
    /// Seconds by the clock on the wall, one per run.
    var elapsedSeconds: [Double] = []
    /// Heap allocations of the last run, when everything is warm.
    var allocations: UInt64 = 0

    /// Does `work` `runs` times, after warming up.
    init(items: Int, runs: Int, _ work: () -> Void) {
        self.items = items
        for _ in 0..<min(runs, 2) { work() }
        for _ in 0..<runs {
            let allocated = skywave_allocation_count()
            let cpu = Self.seconds(CLOCK_THREAD_CPUTIME_ID)
            let elapsed = Self.seconds(CLOCK_MONOTONIC)
            work()
            cpuSeconds.append(Self.seconds(CLOCK_THREAD_CPUTIME_ID) - cpu)
            elapsedSeconds.append(Self.seconds(CLOCK_MONOTONIC) - elapsed)
            allocations = skywave_allocation_count() - allocated
        }
    }

    /// Items per second of CPU time, the median of the runs: what one core does when nothing else runs on it.
    var rate: Double { Double(items) / Self.median(cpuSeconds) }

    /// Items per second by the clock on the wall, the median of the runs.
    var elapsedRate: Double { Double(items) / Self.median(elapsedSeconds) }

    /// How far the slowest run lay from the fastest, in percent of the median.
    var spreadPercent: Double {
        let least = cpuSeconds.min() ?? 0
        let most = cpuSeconds.max() ?? 0
        return (most - least) / Self.median(cpuSeconds) * 100
    }

    var allocationsPerItem: Double { Double(allocations) / Double(items) }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
    }

    private static func seconds(_ clock: clockid_t) -> Double {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
