import DequeModule
import XMPP

// XEP-0198 on a stream that the server opened: it sends stanzas, the bridge acknowledges.
extension InboundStreamStateMachine {
    mutating func managementReceived(_ element: Element, _ actions: inout Deque<LocalAction>) -> Outcome {
        switch element.name {
        case "enable":
            // Before a proof there is nothing to count, and a second time would begin the count anew.
            guard self.isAuthorized, !self.isManaged else {
                actions.append(.write(self.connection, StreamXML.managementFailure(.unexpectedRequest)))
                return .none
            }
            self.isManaged = true
            actions.append(.write(self.connection, StreamXML.enabled))
            return .managementEnabled
        case "r" where self.isManaged:
            return .acknowledgementWanted
        case "a" where self.isManaged:
            // The bridge sends no stanzas on this stream.
            guard let h = StreamXML.count(of: element) else {
                self.fail(.init(.invalidXML, text: "an acknowledgement without a count"), &actions)
                return .none
            }
            if h > 0 { self.fail(StreamXML.countTooHigh(h, sent: 0), &actions) }
            return .none
        case "r", "a":
            actions.append(.write(self.connection, StreamXML.managementFailure(.unexpectedRequest)))
            return .none
        case "resume":
            // Why not: see `InboundLedger`.
            actions.append(.write(self.connection, StreamXML.managementFailure(.featureNotImplemented)))
            return .none
        default:
            self.fail(.init(.unsupportedStanzaType), &actions)
            return .none
        }
    }
}
