import DequeModule
package import NIOCore
package import XMPP

// Who is responsible for which stanza: what the server acknowledges, and what the bridge acknowledges to it.
extension LocalSide {
    /// The bridge has made a stanza of `received` its own: it is committed, or it was answered. Only what was handled
    /// without a gap is acknowledged to the server (XEP-0198).
    package mutating func stanzaHandled(_ receipt: LocalReceipt, now: NIODeadline) {
        self.now = now
    }

    /// The kernel took this many more of the stanzas of `writeStanza`, each one whole, in their order.
    package mutating func stanzasWritten(_ id: ConnectionID, count: Int, now: NIODeadline) {
        self.now = now
        guard let carrier = self.connections[id] as? CarrierConnection else { return }
        self.settle(carrier, count)
    }

    /// The server is responsible for the oldest stanzas of a stream from now on.
    private mutating func settle(_ carrier: CarrierConnection, _ count: Int) {
        var tickets: [DeliveryTicket] = []
        for _ in 0..<count {
            guard let delivery = carrier.sent.popFirst() else { break }
            if let ticket = delivery.ticket { tickets.append(ticket) }
        }
        if !tickets.isEmpty { self.actions.append(.delivered(tickets)) }
    }
}
