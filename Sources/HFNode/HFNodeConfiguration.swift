package import NIOCore
package import STANAG5066

/// What a node is told by its operator.
package struct HFNodeConfiguration: Sendable {
    /// What becomes of what waits for a node when the link to it is lost.
    package enum LossPolicy: Hashable, Sendable {
        /// It is rejected to the clients; the windows start anew with the next link (STANAG 5066 Ed. 3 §C.6.3).
        case reject
        /// It waits until its time to live is over; the windows go on where they were (§C.6.3, revived connections).
        case keep
    }

    package var address: NodeAddress
    /// Chance of back-offs.
    package var seed: UInt64 = 1

    // MARK: D_PDUs
    /// Bytes of a C_PDU in a D_PDU, 1 to 1023.
    package var segmentBytes = 200
    /// Bytes of both addresses in a D_PDU, 1 to 7.
    package var addressBytes = 7
    /// ARQ frames that may be out, 1 to 128.
    package var window = 128

    // MARK: Transmissions
    /// Data of one transmission; more than 127.5 s cannot be announced (§C.3.2.3).
    package var maximumTransmission = Self.longestTransmission
    /// Transmissions with data always last the maximum, as some nodes do.
    package var alwaysTransmitsMaximum = false
    /// Copies of an acknowledgement, as far as there is room in the transmission.
    package var acknowledgementCopies = 1
    /// Time to wait for more data before an idle channel is taken.
    package var holdOff = TimeAmount.zero
    /// From the end of the other side's transmission to the start of ours.
    package var turnaround = TimeAmount.seconds(1)
    /// Added to the time that an answer takes, before it counts as missing.
    package var answerMargin = TimeAmount.seconds(1)
    /// Data without an answer, in a row, until the link counts as lost.
    package var maximumMisses = 3
    /// The longest back-off.
    package var maximumBackOff = TimeAmount.seconds(64)

    // MARK: Links
    package var link = PhysicalLinkPolicy()
    package var maximumLinks = 16
    package var lossPolicy = LossPolicy.reject
    /// With ``LossPolicy/keep``: from a failed call to the next.
    package var callPause = TimeAmount.seconds(60)

    // MARK: Units of clients
    /// Largest U_PDU (§A.2.1.3).
    package var maximumUnit = 2048
    /// U_PDUs of one SAP that may wait, in bytes. At the limit the client is told to stop.
    package var queueBytes = 65_536
    /// Replaces a time to live of 0, and limits others (§A.2.1.6); seconds.
    package var maximumTimeToLive = 1_296_000
    /// S_PDUs say when they die: two bytes more each.
    package var sendsTimeToDie = false
    /// How long the other client's confirmation may take after the last acknowledgement.
    package var clientConfirmationTime = TimeAmount.minutes(10)
    /// Bytes of the unit that a client confirmation carries over the air.
    package var confirmationPrefix = 16
    /// Seconds GMT at time 0 of the clock that is passed in, since midnight of a day whose number is 0 modulo 16.
    package var secondsAtZero: Int64 = 0

    package static let longestTransmission = TimeAmount.milliseconds(127_500)

    package init(address: NodeAddress) {
        self.address = address
    }
}
