package import NIOCore

/// Where an RCOP unit comes from. A node address alone says little: nothing in STANAG 5066 authenticates it.
package struct RCOPSource: Hashable, Sendable {
    package var node: NodeAddress
    /// Service access point at that node.
    package var sap: SAP

    package init(node: NodeAddress, sap: SAP) {
        self.node = node
        self.sap = sap
    }
}

/// A unit that has arrived whole.
package struct RCOPUnit: Equatable, Sendable {
    package var source: RCOPSource
    package var connection: UInt8
    /// Its number on the connection. Not to be relied on across restarts of the sender.
    package var number: UInt8
    package var application: RCOPApplication
    /// Without headers and prefix.
    package var bytes: ByteBuffer
    /// Units of this connection that come before it have not arrived: they are lost, or were overtaken and still come,
    /// or the sender has started again. Each gap is told once.
    package var followsGap: Bool
    /// The same bytes arrived under the same number a short while ago: they were sent again because a confirmation was
    /// lost, or the sender has started again and says the same. Told where the framing is XML; elsewhere such units are
    /// dropped.
    package var isRepeat: Bool
}

/// What an ``RCOPReceiver`` tells.
package enum RCOPReceiverEvent: Equatable, Sendable {
    case unit(RCOPUnit)
    /// Something of this unit came, and the rest is not waited for. Its sender may send it again under another number.
    case lost(RCOPSource, connection: UInt8, number: UInt8, RCOPDropReason)
}
