package import NIOCore

/// What an ``RCOPSender`` needs to know of one peer.
package struct RCOPSenderConfiguration: Equatable, Sendable {
    /// One of the connections that units may be sent on. All U_PDUs of a connection have one priority in the node, or
    /// they could overtake each other.
    package struct Connection: Equatable, Sendable {
        /// 0 to 15.
        package var number: UInt8
        /// Of the node, 0 to 15, larger is more urgent. Units of a more urgent connection are sent first.
        package var priority: UInt8

        package init(number: UInt8, priority: UInt8) {
            self.number = number & 0x0F
            self.priority = priority
        }
    }

    /// What is done about a U_PDU that was not confirmed.
    package enum Repetition: Equatable, Sendable {
        /// It alone is sent again, the same bytes: the receiver still has the rest. Both sides must be made for it.
        case segment
        /// The whole unit is sent again, under a new number, as XEP-0365 0.2.1 §4.3 demands; the receiver drops what it
        /// has.
        case unit
    }

    package var connections: [Connection]
    package var application: RCOPApplication
    package var framing: RCOPFraming
    package var repetition: Repetition
    /// How often one U_PDU, or with ``Repetition/unit`` one unit, is handed to the node before the unit is given up; at
    /// least 1.
    package var attempts = 4
    /// How long nothing is handed to the node for this peer after the node said that it cannot be reached, or refused something
    /// sooner than this, whatever its reason; twice as long each time in a row, since each call of a peer that is not there uses a frequency that others need.
    package var holdOff = TimeAmount.seconds(10)
    /// The longest of these waits.
    package var holdOffMaximum = TimeAmount.minutes(5)
    /// Units of a connection that may be under way at once, 1 to 128: with more, numbers would be ambiguous.
    package var unitsUnderWay = 64
    /// Bytes of units that were taken and are not finished: while there are as many, no other is taken. The last one may go
    /// over.
    package var bytes = 4 << 20

    package init(
        connections: [Connection], application: RCOPApplication, framing: RCOPFraming, repetition: Repetition
    ) {
        self.connections = connections
        self.application = application
        self.framing = framing
        self.repetition = repetition
    }

    /// For another bridge that speaks dialect `skywave`.
    package static func skywave(
        connections: [Connection], application: RCOPApplication = .skywave
    ) -> RCOPSenderConfiguration {
        RCOPSenderConfiguration(
            connections: connections, application: application, framing: .delimited, repetition: .segment)
    }

    /// For whatever speaks XEP-0365 0.2.1.
    package static func xep(
        connections: [Connection], application: RCOPApplication = .xmpp
    ) -> RCOPSenderConfiguration {
        RCOPSenderConfiguration(
            connections: connections, application: application, framing: .stanzas, repetition: .unit)
    }
}
