/// A number in a primitive that says why, or in which state. Unknown numbers are kept as they came, so that logs can show them.
package protocol SISCode: RawRepresentable<UInt8>, Hashable, Sendable, CustomStringConvertible {
    /// The standard's meanings, the first of ``firstMeaning``.
    static var meanings: [String] { get }
    static var firstMeaning: UInt8 { get }
    init(rawValue: UInt8)
}

extension SISCode {
    package static var firstMeaning: UInt8 { 1 }

    /// The standard's meaning with the number, for logs and operators.
    package var description: String {
        guard rawValue >= Self.firstMeaning, Int(rawValue - Self.firstMeaning) < Self.meanings.count else {
            return "unknown (\(rawValue))"
        }
        return "\(Self.meanings[Int(rawValue - Self.firstMeaning)]) (\(rawValue))"
    }
}

/// Why a bind was rejected (STANAG 5066 Ed. 3 §A.2.1.4).
package struct BindRejectedReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let notEnoughResources = Self(rawValue: 1)
    package static let invalidSAP = Self(rawValue: 2)
    package static let sapAlreadyAllocated = Self(rawValue: 3)
    package static let arqUnsupportableDuringBroadcast = Self(rawValue: 4)
    package static let meanings = [
        "not enough resources", "invalid SAP ID", "SAP ID already allocated", "ARQ mode unsupportable during broadcast session",
    ]
}

/// Why the node ended a bind (STANAG 5066 Ed. 3 §A.2.1.5).
package struct UnbindReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let preempted = Self(rawValue: 1)
    package static let inactivity = Self(rawValue: 2)
    package static let tooManyInvalidPrimitives = Self(rawValue: 3)
    package static let tooManyExpeditedRequests = Self(rawValue: 4)
    package static let arqUnsupportableDuringBroadcast = Self(rawValue: 5)
    package static let meanings = [
        "connection pre-empted by higher-ranking client", "inactivity, no answer to keep-alive", "too many invalid primitives",
        "too many expedited requests", "ARQ mode unsupportable during broadcast session",
    ]
}

/// Why a U_PDU was rejected; four bits on the wire (STANAG 5066 Ed. 3 §A.2.1.8, §A.2.1.12).
package struct UnidataRejectedReason: SISCode {
    package let rawValue: UInt8
    /// - Parameter rawValue: the low four bits count.
    package init(rawValue: UInt8) { self.rawValue = rawValue & 0x0F }

    package static let timeToLiveExpired = Self(rawValue: 1)
    package static let destinationSAPNotBound = Self(rawValue: 2)
    package static let destinationNotResponding = Self(rawValue: 3)
    package static let largerThanMTU = Self(rawValue: 4)
    package static let transmissionModeNotSpecified = Self(rawValue: 5)
    package static let meanings = [
        "TTL expired", "destination SAP ID not bound", "destination node not responding", "U_PDU larger than MTU",
        "transmission mode not specified",
    ]
}

/// Why a hard link was not made (STANAG 5066 Ed. 3 §A.2.1.21).
package struct HardLinkRejectedReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let remoteNodeBusy = Self(rawValue: 1)
    package static let higherPriorityLinkExisting = Self(rawValue: 2)
    package static let remoteNodeNotResponding = Self(rawValue: 3)
    package static let destinationSAPNotBound = Self(rawValue: 4)
    package static let reservationExists = Self(rawValue: 5)
    package static let meanings = [
        "remote node busy", "higher-priority link existing", "remote node not responding", "destination SAP ID not bound",
        "requested type 0 link exists",
    ]
}

/// Why a hard link ended (STANAG 5066 Ed. 3 §A.2.1.22).
package struct HardLinkTerminatedReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let terminatedByRemoteNode = Self(rawValue: 1)
    package static let higherPriorityLinkRequested = Self(rawValue: 2)
    package static let remoteNodeNotResponding = Self(rawValue: 3)
    package static let destinationSAPUnbound = Self(rawValue: 4)
    package static let physicalLinkBroken = Self(rawValue: 5)
    package static let meanings = [
        "link terminated by remote node", "higher-priority link requested", "remote node not responding",
        "destination SAP ID unbound", "physical link broken",
    ]
}

/// Why a client refuses a hard link. The standard names reasons without numbers (STANAG 5066 Ed. 3 §A.2.1.25).
package struct HardLinkRejectReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What we send.
    package static let modeNotSupported = Self(rawValue: 1)
    package static let meanings = ["mode not supported"]
}

/// The state of the far node of a hard link (STANAG 5066 Ed. 3 §A.2.1.20, §A.2.1.23).
package struct RemoteNodeStatus: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let error = Self(rawValue: 0)
    package static let ok = Self(rawValue: 1)
    package static let firstMeaning: UInt8 = 0
    package static let meanings = ["error", "OK"]

    /// Every number but 0 says so.
    package var isOK: Bool { rawValue != 0 }
}

/// What the node can do at present (STANAG 5066 Ed. 3 §A.2.1.26). The same section leaves the numbers to the node.
package struct SubnetStatus: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let off = Self(rawValue: 0)
    package static let on = Self(rawValue: 1)
    package static let receiveOnly = Self(rawValue: 2)
    package static let halfDuplex = Self(rawValue: 3)
    package static let fullDuplex = Self(rawValue: 4)
    package static let transmitOnly = Self(rawValue: 5)
    package static let firstMeaning: UInt8 = 0
    package static let meanings = ["off", "on", "receive-only", "half-duplex", "full-duplex", "transmit-only"]

    /// False only for what surely means that nothing is sent.
    package var mayTransmit: Bool { self != .off && self != .receiveOnly }
}

/// Why the node's state is what it is (STANAG 5066 Ed. 3 §A.2.1.26).
package struct SubnetReason: SISCode {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let unspecified = Self(rawValue: 0)
    package static let emissionControl = Self(rawValue: 1)
    package static let higherPriorityLinkRequested = Self(rawValue: 2)
    package static let firstMeaning: UInt8 = 0
    package static let meanings = ["unspecified", "local node in EMCON", "higher-priority link requested"]
}
