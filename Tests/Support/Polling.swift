/// The condition of ``eventually(within:every:_:condition:)`` did not become true in time.
package struct DeadlineExceeded: Error, CustomStringConvertible {
    package let what: String
    package let waited: Duration
    package var description: String { "not within \(waited): \(what)" }
}

/// Asks `condition` again and again until it holds, and throws ``DeadlineExceeded`` when `limit` has passed.
///
/// For effects that other threads or processes bring about; the condition is asked once more after the limit,
/// so a machine that was merely slow to run this task does not fail the test.
package func eventually(
    within limit: Duration = .seconds(30), every interval: Duration = .milliseconds(5),
    _ what: String = "the expected condition", condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now.advanced(by: limit)
    while clock.now < deadline {
        if try await condition() { return }
        try await Task.sleep(for: interval)
    }
    guard try await condition() else { throw DeadlineExceeded(what: what, waited: limit) }
}
