/// Which units of one connection are missing, going by their numbers, which are consecutive (STANAG 5066 Ed. 3 §F.8.1
/// (5)).
///
/// Numbers have eight bits, so half of them lie ahead of the newest and half behind. A number behind that is not
/// missing says that the sender has started again: then all that was missing is forgotten.
struct RCOPSequence: Equatable {
    /// Seen or skipped, and not delivered.
    private struct Absence: Equatable {
        var number: UInt8
        var isTold = false
    }

    /// The number after the newest that was seen.
    private var next: UInt8?
    private var absences: [Absence] = []
    /// What was missing before the sender started again.
    private var hasUntoldGap = false

    static let window: UInt8 = 128

    /// A segment of a unit came that is not being put together and is no repeat.
    mutating func seen(_ number: UInt8) {
        guard let next else {
            self.next = number &+ 1
            absences = [Absence(number: number)]
            return
        }
        if number &- next < Self.window {
            var skipped = next
            while skipped != number {
                absences.append(Absence(number: skipped))
                skipped &+= 1
            }
            absences.append(Absence(number: number))
            let newest = number &+ 1
            self.next = newest
            // Further back a number would look as if it lay ahead.
            absences.removeAll { newest &- $0.number >= Self.window }
        } else if !absences.contains(where: { $0.number == number }) {
            restarted(with: number)
        }
    }

    /// Another unit of this number has begun than the one that was being put together.
    mutating func restarted(with number: UInt8) {
        next = number &+ 1
        absences = [Absence(number: number)]
        hasUntoldGap = true
    }

    /// The unit came and was nothing to be passed on.
    mutating func ignored(_ number: UInt8) {
        absences.removeAll { $0.number == number }
    }

    /// The unit is whole.
    ///
    /// - Returns: whether units before it are missing and this was not told yet.
    mutating func delivered(_ number: UInt8) -> Bool {
        var followsGap = hasUntoldGap
        hasUntoldGap = false
        absences.removeAll { $0.number == number }
        for index in absences.indices {
            let distance = number &- absences[index].number
            guard distance > 0, distance < Self.window, !absences[index].isTold else { continue }
            absences[index].isTold = true
            followsGap = true
        }
        return followsGap
    }
}
