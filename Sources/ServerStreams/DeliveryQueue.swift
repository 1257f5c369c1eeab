import DequeModule
import NIOCore
import XMPP

/// One stanza on its way to the local server.
struct Delivery {
    var stanza: Stanza
    /// With a ticket the stanza is durable in its peer's inbox: it waits for as long as the core wants, and its fate is
    /// reported exactly once. Without one nobody else knows of it, and it goes back when its time is over.
    var ticket: DeliveryTicket?
    /// When it is given back; means nothing where there is a ticket.
    var expires: NIODeadline
    /// It was on its way when the server ended a stream with an error, so it may be what the server cannot bear: it
    /// travels alone until it is acknowledged.
    var isSuspect = false
    /// How many streams the server ended with an error while this stanza alone was on its way.
    var deaths = 0
}

/// Stanzas that wait for one route to the local server, in order, bounded by whoever owns it.
struct DeliveryQueue: ~Copyable {
    private var entries: Deque<Delivery> = []
    /// Sum of the stanzas' sizes.
    private(set) var bytes = 0
    /// How many of them expire.
    private var mortals = 0
    /// No stanza expires before this.
    private var earliestExpiry = NIODeadline.distantFuture

    var count: Int { self.entries.count }
    var isEmpty: Bool { self.entries.isEmpty }
    var first: Delivery? { self.entries.first }
    /// When to look for stanzas whose time is over; may be too early, never too late.
    var nextExpiry: NIODeadline? { self.mortals > 0 ? self.earliestExpiry : nil }

    mutating func append(_ delivery: Delivery) {
        self.count(delivery)
        self.entries.append(delivery)
    }

    /// Puts stanzas back that had been taken, before all others and in their own order.
    mutating func putBack(_ deliveries: [Delivery]) {
        for delivery in deliveries.reversed() {
            self.count(delivery)
            self.entries.prepend(delivery)
        }
    }

    mutating func takeFirst() -> Delivery? {
        guard let delivery = self.entries.popFirst() else { return nil }
        self.bytes -= delivery.stanza.byteCount
        if delivery.ticket == nil { self.mortals -= 1 }
        return delivery
    }

    /// Takes out the stanzas whose time is over, in their order.
    mutating func takeExpired(now: NIODeadline) -> [Delivery] {
        guard self.mortals > 0, self.earliestExpiry <= now else { return [] }
        let all = self.entries
        self.entries = []
        self.bytes = 0
        self.mortals = 0
        var expired: [Delivery] = []
        for delivery in all {
            if delivery.ticket == nil, delivery.expires <= now {
                expired.append(delivery)
            } else {
                self.append(delivery)
            }
        }
        return expired
    }

    private mutating func count(_ delivery: Delivery) {
        self.bytes += delivery.stanza.byteCount
        guard delivery.ticket == nil else { return }
        self.earliestExpiry = self.mortals == 0 ? delivery.expires : min(self.earliestExpiry, delivery.expires)
        self.mortals += 1
    }
}
