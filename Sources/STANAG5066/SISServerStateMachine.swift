import DequeModule
package import NIOCore

/// What a node does for every client's connection before its own work begins: bytes and primitives, who may say what before and
/// after the bind, what a request that cannot be carried is answered with (STANAG 5066 Ed. 3 §A.2, Annex F §F.16).
///
/// What becomes of a U_PDU, which SAPs are free and which hard links there are, the node decides.
package struct SISServerStateMachine: ~Copyable {
    enum State: Equatable {
        /// The client has not bound itself, or is no longer bound.
        case open
        /// The node has been asked, and has not answered.
        case binding(BindRequest)
        case bound(BindRequest, mtu: Int)
        case closed
    }

    let configuration: SISServerConfiguration
    private var state = State.open
    private var decoder: SISDecoder
    private var invalidCount = 0
    private var answeredAt: NIODeadline?
    private var actions = Deque<SISServerAction>()

    package init(_ configuration: SISServerConfiguration = SISServerConfiguration()) {
        self.configuration = configuration
        decoder = SISDecoder(for: .node, alignment: configuration.alignment)
    }

    package mutating func nextAction() -> SISServerAction? { actions.popFirst() }

    /// What is bound.
    package var bind: BindRequest? {
        if case .bound(let bind, _) = state { bind } else { nil }
    }

    package var debugState: String { "state \(state), invalid \(invalidCount)" }

    // MARK: What the client says

    package mutating func bytesReceived(_ bytes: ByteBuffer, now: NIODeadline) {
        guard state != .closed else { return }
        decoder.read(bytes)
        readOn(now: now)
    }

    /// What comes behind a bind waits for the node's answer to it.
    private mutating func readOn(now: NIODeadline) {
        do throws(SISError) {
            while canRead, let event = try decoder.next() {
                switch event {
                case .primitive(let primitive): primitiveReceived(primitive, now: now)
                case .skipped: countInvalid()
                }
            }
        } catch {
            end()
            actions.append(.close)
        }
    }

    private var canRead: Bool {
        switch state {
        case .open, .bound: true
        case .binding, .closed: false
        }
    }

    /// The connection is gone.
    package mutating func connectionClosed() {
        guard state != .closed else { return }
        end()
    }

    // MARK: What the node says

    /// Answers ``SISServerAction/bindRequested(_:)``.
    ///
    /// - Parameter mtu: the longest U_PDU that is taken, in bytes.
    package mutating func bindAccepted(mtu: UInt16, now: NIODeadline) {
        guard case .binding(let bind) = state else { return }
        state = .bound(bind, mtu: Int(mtu))
        actions.append(.write(.bindAccepted(BindAccepted(sap: bind.sap, mtu: mtu))))
        readOn(now: now)
    }

    /// Answers ``SISServerAction/bindRequested(_:)``. The client may ask again on the same connection.
    package mutating func bindRejected(_ reason: BindRejectedReason, now: NIODeadline) {
        guard case .binding = state else { return }
        state = .open
        actions.append(.write(.bindRejected(reason)))
        readOn(now: now)
    }

    /// The node ends the bind; the connection stays.
    package mutating func unbindRequested(_ reason: UnbindReason) {
        guard case .bound = state else { return }
        state = .open
        actions.append(.write(.unbindIndication(reason)))
        actions.append(.unbound)
    }

    /// Says something to the client, if it is bound.
    ///
    /// - Returns: false when nobody was there to hear it.
    @discardableResult
    package mutating func primitiveOffered(_ primitive: SISPrimitive) -> Bool {
        guard case .bound = state else { return false }
        actions.append(.write(primitive))
        return true
    }

    /// Confirms a U_PDU, repeating as much of it as the configuration says.
    package mutating func unitConfirmed(_ request: UnidataRequest, isExpedited: Bool) {
        let reference = UnidataReference(to: request, bytes: configuration.responseFragmentBytes)
        primitiveOffered(isExpedited ? .expeditedUnidataRequestConfirm(reference) : .unidataRequestConfirm(reference))
    }

    /// Rejects a U_PDU, repeating as much of it as the configuration says.
    package mutating func unitRejected(_ request: UnidataRequest, isExpedited: Bool, reason: UnidataRejectedReason) {
        let reference = UnidataReference(to: request, bytes: configuration.responseFragmentBytes)
        primitiveOffered(
            isExpedited ? .expeditedUnidataRequestRejected(reason, reference) : .unidataRequestRejected(reason, reference))
    }

    // MARK: Primitives

    private mutating func primitiveReceived(_ primitive: SISPrimitive, now: NIODeadline) {
        switch primitive {
        case .bindRequest(let bind):
            guard state == .open else { return countInvalid() }
            guard bind.service.isLegal, bind.service.mode != .default else {
                // No reason has a number for it.
                countInvalid()
                actions.append(.write(.bindRejected(BindRejectedReason(rawValue: 0))))
                return
            }
            state = .binding(bind)
            actions.append(.bindRequested(bind))
        case .unbindRequest:
            guard case .bound = state else { return countInvalid() }
            state = .open
            actions.append(.unbound)
        case .keepAlive:
            // As in the client: two ends that answer each other would never stop.
            if let answeredAt, now - answeredAt < SISClientConfiguration.answerInterval { return }
            answeredAt = now
            actions.append(.write(.keepAlive))
        case .unidataRequest(let request): requested(request, isExpedited: false)
        case .expeditedUnidataRequest(let request): requested(request, isExpedited: true)
        case .hardLinkEstablish(let link): pass(.hardLinkRequested(link))
        case .hardLinkTerminate(let node): pass(.hardLinkTerminated(node))
        case .hardLinkAccept(let link): pass(.hardLinkAccepted(link))
        case .hardLinkReject(let reason, let link): pass(.hardLinkRefused(reason, link))
        case .managementMessageRequest(let message): pass(.managementMessage(message))
        case .bindAccepted, .bindRejected, .unbindIndication, .hardLinkEstablished, .hardLinkRejected, .hardLinkTerminated,
            .hardLinkIndication, .subnetAvailability, .dataFlowOn, .dataFlowOff, .managementMessageIndication,
            .unidataIndication, .unidataRequestConfirm, .unidataRequestRejected, .expeditedUnidataIndication,
            .expeditedUnidataRequestConfirm, .expeditedUnidataRequestRejected:
            // The decoder skips what is for clients.
            countInvalid()
        }
    }

    private mutating func requested(_ offered: UnidataRequest, isExpedited: Bool) {
        guard case .bound(let bind, let mtu) = state else { return countInvalid() }
        var request = offered
        if request.delivery.mode == .default { request.delivery = bind.service }
        if request.uPDU.readableBytes > mtu {
            // Always, and not only when a confirmation was asked for: §A.2.1.8 and §A.3.2.4 disagree, and silence helps nobody.
            unitRejected(request, isExpedited: isExpedited, reason: .largerThanMTU)
        } else if !request.delivery.isLegal || request.destination.isGroup && request.delivery.mode == .arq {
            countInvalid()
            unitRejected(request, isExpedited: isExpedited, reason: .transmissionModeNotSpecified)
        } else {
            actions.append(.submitted(request, isExpedited: isExpedited))
        }
    }

    /// Nothing but a bind is served to a client that is not bound (§A.2.1.1).
    private mutating func pass(_ action: SISServerAction) {
        guard case .bound = state else { return countInvalid() }
        actions.append(action)
    }

    private mutating func countInvalid() {
        invalidCount += 1
        guard invalidCount > configuration.maximumInvalid else { return }
        invalidCount = 0
        unbindRequested(.tooManyInvalidPrimitives)
    }

    private mutating func end() {
        switch state {
        case .binding, .bound: actions.append(.unbound)
        case .open, .closed: break
        }
        state = .closed
    }
}

/// The rules of a node for its clients' connections.
package struct SISServerConfiguration: Equatable, Sendable {
    /// How much of a U_PDU a confirmation or rejection repeats, in bytes (STANAG 5066 Ed. 3 §A.2.1.7).
    package var responseFragmentBytes = Int.max
    /// More invalid primitives than this end the bind.
    package var maximumInvalid = 16
    /// Which half-bytes of a short node address count.
    package var alignment = NodeAddress.Alignment.right

    package init() {}
}

/// What ``SISServerStateMachine`` wants done, in this order.
package enum SISServerAction: Equatable, Sendable {
    case write(SISPrimitive)
    /// End the connection when everything is written.
    case close
    /// Answer with `bindAccepted` or `bindRejected` at once: until then what the client says is kept unread.
    case bindRequested(BindRequest)
    /// The client's SAP is free, if it had one. What it submitted needs no answer any more.
    case unbound
    /// A U_PDU of legal length and mode; the mode `.default` has been replaced by the service of the bind.
    case submitted(UnidataRequest, isExpedited: Bool)
    case hardLinkRequested(HardLink)
    case hardLinkTerminated(NodeAddress)
    case hardLinkAccepted(HardLink)
    case hardLinkRefused(HardLinkRejectReason, HardLink)
    case managementMessage(ManagementMessage)
}

extension ServiceType {
    /// A defined mode, and a confirmation that goes with it (STANAG 5066 Ed. 3 §A.2.2.3).
    var isLegal: Bool {
        mode.isDefined && !isExtended && (confirmation == .none || mode == .arq && confirmation != DeliveryConfirmation(low: 3))
    }
}
