/// The runtime's name for one TCP connection of the local side. Never used twice in one run.
package struct ConnectionID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let number: UInt64

    package init(number: UInt64) {
        self.number = number
    }

    package static func < (left: ConnectionID, right: ConnectionID) -> Bool { left.number < right.number }

    package var description: String { "#\(self.number)" }
}

/// The machine's name for one wish to dial the local server; it is answered exactly once, by success or by failure.
package struct DialToken: Hashable, Sendable, CustomStringConvertible {
    package let number: UInt64

    package init(number: UInt64) {
        self.number = number
    }

    package var description: String { "dial \(self.number)" }
}
