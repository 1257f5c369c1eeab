package import NIOCore

/// How many bytes of one peer may be inside the node now: as much as the link carries in a turn, as far as that is known.
///
/// What is inside the node can no longer be overtaken, replaced or taken back, so it should be little; but a node that has less
/// than it could send in its turn wastes the rest of it. How much that is, nobody tells: at 75 bit/s a thousand bytes, at 9600
/// bit/s 150 kB. So the window opens while what is handed over is confirmed within a turn although all of it was used, and closes
/// when it takes longer than that.
package struct NodeWindow: Equatable {
    /// The longest turn and its acknowledgement (STANAG 5066 Ed. 3 §C.3.2.3: 127.5 s), and what turning round takes on slow radios.
    static let longestTurn = TimeAmount.seconds(180)

    let minimum: Int
    let maximum: Int
    package private(set) var bytes: Int

    /// - Parameters:
    ///   - minimum: a few U_PDUs of the node's largest size, in bytes.
    ///   - maximum: what the configuration allows.
    package init(minimum: Int, maximum: Int) {
        self.maximum = max(maximum, 1)
        self.minimum = min(max(minimum, 1), self.maximum)
        bytes = self.minimum
    }

    /// A U_PDU was confirmed.
    ///
    /// - Parameters:
    ///   - count: its bytes.
    ///   - duration: how long it was inside the node.
    ///   - wasFull: more would have been handed over had there been room.
    package mutating func confirmed(_ count: Int, after duration: TimeAmount, wasFull: Bool) {
        if duration <= Self.longestTurn {
            if wasFull { bytes = min(maximum, bytes + count) }
        } else {
            // Of what took too long at most half is closed with each U_PDU's own share.
            bytes = max(minimum, bytes - count / 2)
        }
    }

    /// A U_PDU came to nothing: the link does not carry what it did.
    package mutating func failed() { bytes = max(minimum, bytes / 2) }
}
