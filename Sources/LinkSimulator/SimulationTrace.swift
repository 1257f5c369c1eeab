import NIOCore
import XMPP

/// Everything that happens in a run, as one number and, on request, as lines. Two runs of a seed must give the same.
struct SimulationTrace {
    private var hash = StableHash()
    private let printer: ((String) -> Void)?
    private(set) var entries: UInt64 = 0

    init(printer: ((String) -> Void)?) {
        self.printer = printer
    }

    var value: UInt64 { hash.value }

    /// - Parameter detail: text for people; costs nothing unless lines are wanted, and is no part of the hash.
    mutating func record(
        _ time: Int64, _ what: StaticString, _ one: Int = 0, _ two: Int = 0, _ three: Int = 0,
        _ detail: @autoclosure () -> String = ""
    ) {
        entries += 1
        hash.combine(UInt64(bitPattern: time))
        what.withUTF8Buffer { bytes in
            for index in 0..<bytes.count { hash.combine(unsafe bytes[index]) }
        }
        for value in [one, two, three] { hash.combine(UInt64(bitPattern: Int64(value))) }
        guard let printer else { return }
        let seconds = time / 1_000_000_000
        let micros = String(1_000_000 + time % 1_000_000_000 / 1_000).dropFirst()
        printer("\(seconds).\(micros) \(what) \(one) \(two) \(three) \(detail())")
    }

    /// The bytes of a block on a link.
    mutating func record(_ bytes: ByteBuffer) {
        for byte in bytes.readableBytesView { hash.combine(byte) }
    }
}
