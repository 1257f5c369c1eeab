import Blocks
import DequeModule
import NIOCore
import TLS
import XMPP

/// What comes in, from the connections to the owner.
extension TCPLinkTransport {
    /// Reports what waits, one event after the other; whatever the listener does in between only adds to the queues.
    func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while true {
            if let event = events.popFirst() {
                onEvent?(event)
            } else if !isPaused, let connection = readable.first {
                if let item = connection.nextItem() {
                    switch item {
                    case .stream(let event): received(event, on: connection)
                    case .block(let block): received(block, on: connection)
                    case .noBlock(let error): refuse(error, on: connection)
                    }
                    drive()
                } else {
                    readable.removeFirst()
                }
            } else if hasReported {
                hasReported = false
                onEvent?(.batchEnd)
            } else {
                if isOver { closing?.succeed() }
                return
            }
        }
    }

    private func received(_ event: StreamEvent, on connection: LinkConnection) {
        guard let id = connection.id else { return }
        switch event {
        case .opened: break
        case .stanza(let stanza):
            if stanza.kind == .other, let error = StreamError(stanza.root) {
                return machine.streamErrorReceived(id, error, now: .now())
            }
            counts.stanzasReceived += 1
            hasReported = true
            machine.stanzaReceived(id)
            onEvent?(.received(stanza))
        case .oversize(let stub, let limit):
            counts.oversizeReceived += 1
            hasReported = true
            machine.stanzaReceived(id)
            onEvent?(.oversize(stub, limit))
        case .closed: machine.closeTagReceived(id, now: .now())
        case .failed(let error): machine.readerFailed(id, error, now: .now())
        }
    }

    private func received(_ block: ByteBuffer, on connection: LinkConnection) {
        // A connection that was replaced or refused is over for the session above, whatever it still brings.
        guard let id = connection.id, id == machine.sendingConnection else { return }
        if connection.hasBroughtBlocks == false, let version = block.refusedVersion {
            let reason = LinkEnd.otherVersion(own: BlockOpening.version, peer: version)
            return machine.blockRefused(id, reason, isToldWhy: false, now: .now())
        }
        connection.hasBroughtBlocks = true
        counts.blocksReceived += 1
        hasReported = true
        machine.stanzaReceived(id)
        onEvent?(.block(block))
    }

    private func refuse(_ error: BlockError, on connection: LinkConnection) {
        guard let id = connection.id else { return }
        if case .unsupportedVersion(let version) = error {
            let reason = LinkEnd.otherVersion(own: BlockOpening.version, peer: version)
            machine.blockRefused(id, reason, isToldWhy: true, now: .now())
        } else {
            machine.blockRefused(id, .badBlock(error), isToldWhy: false, now: .now())
        }
    }
}

extension ByteBuffer {
    /// The version that the peer speaks, when the block only says that it cannot speak ours.
    fileprivate var refusedVersion: UInt8? {
        var reader = self
        guard let header = try? BlockHeader(reading: &reader),
            case .refusal(.version(let version)) = header.opening
        else { return nil }
        return version
    }
}

extension TCPLinkTransport: LinkConnectionOwner {
    func connectionReady(_ connection: LinkConnection, certificate: CertificateIdentities?) {
        dialledConnectionReady(connection, certificate: certificate)
    }

    func connectionReadable(_ connection: LinkConnection) {
        if !readable.contains(where: { $0 === connection }) { readable.append(connection) }
        fromNetwork {}
    }

    func connectionEnded(_ connection: LinkConnection, _ reason: LinkEnd) {
        guard let id = connection.id else { return dialledConnectionEnded(connection, reason) }
        fromNetwork {
            countBytes(connection.counter)
            connections[id] = nil
            let isPlainEnd = configuration.dialect == .skywave && reason == .cut
            machine.connectionClosed(id, isPlainEnd ? .endedByPeer : reason, now: .now())
        }
    }
}
