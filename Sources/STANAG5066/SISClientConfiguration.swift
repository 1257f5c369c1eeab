package import NIOCore

/// The rules of one bind to a node.
package struct SISClientConfiguration: Equatable, Sendable {
    /// What is bound; its service is also what a U_PDU in mode `.default` is sent with.
    package var bind: BindRequest
    /// Which half-bytes of a short node address count when this node writes it.
    package var alignment = NodeAddress.Alignment.right

    // MARK: What may be inside the node

    /// U_PDUs that the node has and has not answered, in bytes. Small, because what is in there can no longer be overtaken,
    /// replaced or taken back, and expires when the link does not carry it in its time to live; large enough that the node
    /// never waits for us between two turns.
    package var bytesInNode = 64 << 10
    /// The same for one destination, so that a node which is out of reach does not use up what the others need.
    package var bytesPerDestination = 32 << 10
    /// The number of such U_PDUs; every answer is looked up among them.
    package var unitsInNode = 256
    /// What is urgent may use so many bytes more, however much else is inside the node: two U_PDUs of the usual
    /// MTU, 2 048 bytes.
    package var urgentReserve = 4 << 10
    /// The same as a number of U_PDUs.
    package var urgentUnits = 8
    /// A node that announces a smaller MTU is not used, in bytes.
    package var minimumMTU = 16

    // MARK: How long an answer is waited for

    /// A U_PDU without an answer is taken for lost after twice its time to live, and not before this: a confirmation by the
    /// far client may need two more of the longest turns, 127.5 s each.
    package var patienceMinimum: TimeAmount = .minutes(5)
    /// The same for a U_PDU that lives for ever.
    package var patienceUnlimited: TimeAmount = .hours(24)
    /// A U_PDU that left so shortly before the node's S_DATA_FLOW_OFF came may have met it on the way, and have been thrown
    /// away without a word (STANAG 5066 Ed. 3 §A.2.1.14).
    package var crossingTime: TimeAmount = .seconds(10)
    /// How long such a U_PDU is still waited for when a later one of the same order has been confirmed.
    package var overtakenPatience: TimeAmount = .minutes(5)

    /// A node that has said S_DATA_FLOW_OFF for so long, may transmit, and has nothing of ours left is bound anew: its
    /// S_DATA_FLOW_ON will not come any more, and nothing is lost by it.
    package var flowPatience: TimeAmount = .hours(1)

    // MARK: The connection

    package var dialTimeout: TimeAmount = .seconds(30)
    package var bindTimeout: TimeAmount = .seconds(30)
    package var reconnectMinimum: TimeAmount = .seconds(1)
    package var reconnectMaximum: TimeAmount = .seconds(60)
    /// The wait after what only somebody at the node, or at our configuration, can mend.
    package var slowRetry: TimeAmount = .minutes(5)
    /// A bind that held so long has worked: the next wait is short again.
    package var stableAfter: TimeAmount = .seconds(60)
    /// How long the node may take to end the connection when we leave.
    package var closeTimeout: TimeAmount = .seconds(5)

    // MARK: Life

    /// After so long without a word from the node it is asked whether it lives; nil for only when it has left a U_PDU without
    /// an answer. Less than ``keepAliveMinimum`` is taken for that.
    package var keepAliveInterval: TimeAmount?
    /// How long the answer may take: ten seconds by the standard, and some for the network.
    package var keepAliveTimeout: TimeAmount = .seconds(15)
    /// Nobody may send keep-alives more often (STANAG 5066 Ed. 3 §A.2.1.17).
    package static let keepAliveMinimum: TimeAmount = .seconds(120)
    /// Two conforming ends could answer each other for ever: a request and its answer look the same, so after an answer the
    /// next one waits this long.
    package static let answerInterval: TimeAmount = .seconds(10)
    /// S_SUBNET_AVAILABILITY that says “off” or “receive-only” stops us. False for nodes whose numbers mean something else,
    /// which the standard allows (STANAG 5066 Ed. 3 §A.2.2.16).
    package var obeysSubnetAvailability = true

    // MARK: Hard links

    /// Nodes whose hard links are accepted.
    package var hardLinkPeers: Set<NodeAddress> = []
    /// The wait before a reservation that was refused or ended is asked for again.
    package var reservationRetry: TimeAmount = .seconds(60)

    package init(bind: BindRequest) {
        self.bind = bind
    }
}
