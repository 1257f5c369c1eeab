package import HFNode
package import NIOCore

/// Two STANAG 5066 nodes, their modems and the air between them, as a link file describes them (`sim/links/NAME.toml`).
package struct RadioLink: Sendable {
    package var name: String
    /// One line on what it stands for.
    package var summary = ""
    /// Chance of the channel and of back-offs.
    package var seed: UInt64 = 1
    package var modem: Modem
    package var rateChange = RateChange()
    /// From the first node to the second.
    package var forward = ChannelConfiguration.clean
    /// From the second node to the first.
    package var reverse = ChannelConfiguration.clean
    package var node = Node()
    package var softLink = SoftLink()
    package var clients = Clients()
    /// When a node may not transmit.
    package var silences: [Silence] = []

    /// Radio and modem, the same at both ends.
    package struct Modem: Hashable, Sendable {
        /// The mode at the start, and for ever without rate change.
        package var waveform: Waveform
        package var line = TransmissionTiming.ModemLine.packet
        /// From the order to transmit to the first symbol, the time that crypto takes included.
        package var keyUp = TimeAmount.milliseconds(200)
        package var decode = TimeAmount.milliseconds(100)
        /// For all modes; nil for what each has by itself.
        package var preamble: TimeAmount?

        package init(waveform: Waveform) { self.waveform = waveform }
    }

    package struct RateChange: Hashable, Sendable {
        package var policy: RatePolicy
        /// The rates that may be used, in bit/s.
        package var rates: ClosedRange<Int>

        package init(policy: RatePolicy = .off, rates: ClosedRange<Int> = 0...Int.max) {
            self.policy = policy
            self.rates = rates
        }
    }

    /// How a node uses its transmissions. The defaults are those of ``Node/init()``.
    package struct Node: Hashable, Sendable {
        package var turnaround = TimeAmount.seconds(1)
        package var maximumTransmission = TimeAmount.milliseconds(127_500)
        package var alwaysTransmitsMaximum = false
        package var window = 128
        package var segmentBytes = 200
        package var addressBytes = 7
        package var acknowledgementCopies = 1
        package var holdOff = TimeAmount.zero
        package var answerMargin = TimeAmount.seconds(1)
        package var maximumMisses = 3
        package var maximumBackOff = TimeAmount.seconds(64)
        package var loss = Loss.reject
        package var callPause = TimeAmount.seconds(60)

        /// What becomes of waiting units when the link is lost.
        package enum Loss: String, Hashable, Sendable, CaseIterable {
            case reject, keep
        }

        package init() {}
    }

    /// The soft link of channel access protocol type 1.
    package struct SoftLink: Hashable, Sendable {
        package var isUsed = true
        package var callAttempts = 4
        package var breakAttempts = 2
        package var idle = TimeAmount.seconds(30)
        package var minimumHold = TimeAmount.seconds(30)
        package var firstData = TimeAmount.seconds(30)

        package init() {}
    }

    /// What SIS clients of both nodes see.
    package struct Clients: Hashable, Sendable {
        package var flowControl = FlowControl.primitives
        /// Bytes that may wait for each SAP.
        package var queueBytes = 64 << 10
        package var maximumUnit = 2_048
        package var sendsTimeToDie = false
        package var clientConfirmation = TimeAmount.minutes(10)

        /// How a node stops a client whose queue is full.
        package enum FlowControl: String, Hashable, Sendable, CaseIterable {
            /// S_DATA_FLOW_OFF and S_DATA_FLOW_ON.
            case primitives
            /// The node stops reading its socket.
            case backPressure = "back-pressure"
        }

        package init() {}
    }

    /// A time in which a node is under emission control: it hears and does not answer.
    package struct Silence: Hashable, Sendable {
        /// The second node of the link, else the first.
        package var isSecondNode: Bool
        /// Since the start.
        package var from: TimeAmount
        package var until: TimeAmount

        package init(isSecondNode: Bool, from: TimeAmount, until: TimeAmount) {
            self.isSecondNode = isSecondNode
            self.from = from
            self.until = until
        }
    }

    package init(name: String, waveform: Waveform) {
        self.name = name
        modem = Modem(waveform: waveform)
    }

    /// The modes that the rate policy may choose; without one the single mode that there is.
    package var ladder: RateLadder {
        guard rateChange.policy != .off else { return RateLadder([modem.waveform]) }
        let choices = RateLadder(
            modem.waveform.family, interleaver: modem.waveform.interleaver, rates: rateChange.rates)
        return choices.changed { waveform in
            // All modes of a family have the same margin, unless the file says another.
            waveform.implementationMargin = modem.waveform.implementationMargin
            if let preamble = modem.preamble { waveform.preamble = preamble }
        }
    }

    /// The timing of a mode with this radio.
    package func timing(of waveform: Waveform) -> TransmissionTiming {
        waveform.timing(keyUp: modem.keyUp, decode: modem.decode, line: modem.line)
    }
}
