import DequeModule
import NIOCore
import STANAG5066

/// What a node knows of another node.
struct RemoteNode: Sendable {
    /// A unit whose last acknowledgement is in, and whose client has not answered.
    struct Unconfirmed: Sendable {
        let unit: OutboundUnit
        let deadline: NIODeadline
    }

    /// A frame of a non-ARQ unit.
    struct NonARQItem: Sendable {
        var frame: DPDU.NonARQFrame
        let unit: OutboundUnit
        /// Nothing of the unit follows.
        let isLast: Bool
    }

    let address: NodeAddress
    var link: PhysicalLinkMachine
    var sender: ARQSender
    var receiver: ARQReceiver
    /// The modem of its last transmission, or ours.
    var timing: TransmissionTiming

    // MARK: To be sent
    var queue = UnitQueue()
    /// Units in the ARQ sender, by their number.
    var inFlight: [UInt64: OutboundUnit] = [:]
    /// Of these, the ones that the other client has confirmed already.
    var confirmedEarly: Set<UInt64> = []
    var unconfirmed: Deque<Unconfirmed> = []
    var nonARQ: Deque<NonARQItem> = []
    var nextNonARQUnit: UInt16 = 0
    var nextExpeditedUnit: UInt16 = 0

    // MARK: Owed
    var owesAcknowledgement = false
    var owedResets: [UInt8] = []
    var owedManagement: [UInt8] = []
    var owedWarning: DPDU.Warning?

    // MARK: Reset of the windows
    /// Sent, or to be sent, and not acknowledged: no ARQ data meanwhile.
    var pendingReset: DPDU.WindowReset?
    var isResetDue = false
    var nextReset: UInt8 = 0
    /// The last one that was obeyed.
    var obeyedReset: UInt8?

    /// Both sides have begun their windows together, and nothing has spoken against it since.
    var isInStep = false

    // MARK: State of the exchange
    /// Answers that did not come, in a row, and nothing else was heard.
    var misses = 0
    /// Answers that did not come, in a row.
    var unanswered = 0
    /// Not called before.
    var callNotBefore: NIODeadline?
    var assembly = NonARQAssembly()
    var expeditedAssembly = NonARQAssembly()
    /// No unit in flight expires earlier.
    var earliestExpiry: NIODeadline?

    init(address: NodeAddress, configuration: HFNodeConfiguration, timing: TransmissionTiming) {
        self.address = address
        self.timing = timing
        link = PhysicalLinkMachine(policy: configuration.link)
        sender = ARQSender(window: configuration.window, segmentBytes: configuration.segmentBytes)
        receiver = ARQReceiver(maximumUnit: 4096 + 16)
    }

    /// ARQ data wait, sent or not.
    var hasData: Bool { sender.hasWork || !queue.isEmpty }

    /// Something is owed to the other side, and it is its turn after that.
    var owesAnswer: Bool {
        owesAcknowledgement || !owedResets.isEmpty || !owedManagement.isEmpty || owedWarning != nil
            || link.outgoing.contains(where: \.isAnswer)
    }

    /// There is something to transmit now.
    var hasWork: Bool {
        owesAnswer || !link.outgoing.isEmpty || !nonARQ.isEmpty
            || (link.isUp && (pendingReset == nil ? hasData : isResetDue))
    }

    /// Nothing under way in any direction.
    var isQuiet: Bool { !hasData && !owesAnswer && pendingReset == nil && nonARQ.isEmpty && unconfirmed.isEmpty }

    /// The priority of what waits.
    var priority: Int { owesAnswer ? 16 : Int(queue.priority ?? 0) }
}
