import NIOCore
import Outbox
import XMPP

/// Says in a stanza how long it was under way (XEP-0203), where that is worth telling and the clock can be believed.
struct DelayStamp {
    /// What was held for less is not told.
    static let leastAge: UInt64 = 60_000
    /// The first of January 2024: a machine without a battery boots long before it.
    private static let earliestWallTime: Int64 = 1_704_067_200_000

    private let reader = StanzaReader()
    /// Milliseconds since 1970 at a moment of the monotonic clock.
    private var wall: (milliseconds: Int64, at: NIODeadline)?

    mutating func wallClockRead(_ milliseconds: Int64, now: NIODeadline) { wall = (milliseconds, now) }

    /// The stanza with a `delay` element in the name of its sender's domain; as it is where it needs none.
    func stamped(_ stanza: Stanza, age: UInt64, now: NIODeadline) -> Stanza {
        guard age > Self.leastAge, stanza.kind == .message || stanza.isPlainAvailability, stanza.type != .error,
            !stanza.hasChild(.delay), let domain = stanza.fromDomain, let wall
        else { return stanza }
        let wallNow = wall.milliseconds + (now - wall.at).nanoseconds / 1_000_000
        guard wallNow >= Self.earliestWallTime, let sent = Int64(exactly: age).map({ wallNow - $0 }), sent >= 0 else {
            return stanza
        }
        let element = "<delay xmlns='\(XMLNamespace.delay)' from='\(domain.string)' stamp='\(Self.text(sent))'/>"
        guard let xml = Self.inserting(element, into: stanza.text, name: stanza.kind.elementName) else { return stanza }
        do throws(StreamError) {
            return try reader.read(ByteBuffer(string: xml))
        } catch { return stanza }
    }

    private static func inserting(_ element: String, into xml: String, name: String) -> String? {
        let end = "</\(name)>"
        if xml.hasSuffix(end) { return xml.dropLast(end.count) + element + end }
        return xml.hasSuffix("/>") ? xml.dropLast(2) + ">" + element + end : nil
    }

    /// The moment as XEP-0082 writes it, in UTC.
    static func text(_ milliseconds: Int64) -> String {
        let seconds = milliseconds / 1_000
        // Days since the first of March of year 0, so that a leap day ends its year.
        let days = seconds / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func padded(_ number: Int64) -> String { (number < 10 ? "0" : "") + String(number) }
        let time = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60].map(padded).joined(separator: ":")
        return "\(year)-\(padded(month))-\(padded(day))T\(time)Z"
    }
}
