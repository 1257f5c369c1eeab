import NIOCore
import SampleTraffic

/// The messages of a load, their bytes made before the clock runs. Message `n` goes from user `n % pairs` to user `n
/// % pairs` of the other side and carries `n` in its id, which is written into the ready bytes when it is sent.
struct LoadMessages {
    static let idPrefix = Array("load-".utf8)
    static let idDigits = 9
    /// Distinct bodies; far more than DEFLATE's window holds, so that using them again gives nothing away.
    private static let bodies = 4_096

    let pairs: Int
    private var texts: [UInt8] = []
    /// Per text: where it starts, where its number stands; one more start at the end.
    private var starts: [Int] = []
    private var numbers: [Int] = []

    init(from sender: String, to recipient: String, pairs: Int, seed: UInt64) {
        self.pairs = pairs
        var generator = TrafficGenerator(seed: seed)
        let placeholder = String(decoding: Self.idPrefix, as: UTF8.self) + String(repeating: "#", count: Self.idDigits)
        // A whole number of rounds over the pairs, so that text `n % count` belongs to pair `n % pairs`.
        let count = (Self.bodies + pairs - 1) / pairs * pairs
        for index in 0..<count {
            let pair = index % pairs
            let text = Array(
                generator.chat(
                    from: "sender\(pair)@\(sender)/desk", to: "receiver\(pair)@\(recipient)/desk", id: placeholder
                ).utf8)
            starts.append(texts.count)
            let number = text.firstIndex(of: UInt8(ascii: "#")) ?? 0
            numbers.append(texts.count + number)
            texts.append(contentsOf: text)
        }
        starts.append(texts.count)
    }

    /// Average length of a message, bytes.
    var averageBytes: Int { texts.count / numbers.count }

    /// Appends message `number` to `buffer`.
    mutating func write(_ number: Int, to buffer: inout ByteBuffer) {
        let index = number % numbers.count
        var rest = number
        var digit = numbers[index] + Self.idDigits - 1
        for _ in 0..<Self.idDigits {
            texts[digit] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
            digit -= 1
        }
        buffer.writeBytes(texts[starts[index]..<starts[index + 1]])
    }
}

/// What arrived at the other end: how many, which twice, which out of order.
struct Arrivals {
    private(set) var received = 0
    private(set) var duplicates = 0
    private(set) var outOfOrder = 0
    /// Messages that came back as errors or that nobody sent.
    private(set) var strangers = 0
    private var seen: [Bool]
    private var highest: [Int]
    private let pairs: Int

    init(messages: Int, pairs: Int) {
        seen = Array(repeating: false, count: messages)
        highest = Array(repeating: -1, count: pairs)
        self.pairs = pairs
    }

    /// Order is promised per pair of users and checked so.
    mutating func arrived(_ number: Int) {
        guard number >= 0, number < seen.count else {
            strangers += 1
            return
        }
        guard !seen[number] else {
            duplicates += 1
            return
        }
        seen[number] = true
        received += 1
        if number < highest[number % pairs] { outOfOrder += 1 }
        highest[number % pairs] = max(number, highest[number % pairs])
    }

    var missing: Int { seen.count - received }
}
