package import HFNode
package import NIOCore
package import STANAG5066

/// A client of a node in virtual time: the same machine as behind a socket.
package final class VirtualClient {
    package let side: HFNodeSide
    var machine: SISClientStateMachine
    var socket: VirtualSocket
    var armed: NIODeadline?
    private var nextUnit: UInt64 = 1

    /// Called for everything that the machine wants and that is not about the connection: units, ends, states. May
    /// offer units.
    package var onAction: ((VirtualClient, SISClientAction, NIODeadline) -> Void)?

    init(side: HFNodeSide, _ configuration: SISClientConfiguration, seed: UInt64) {
        self.side = side
        socket = VirtualSocket(side: side)
        machine = SISClientStateMachine(configuration, seed: seed)
    }

    package var status: SISClientStatus { machine.status }
    package var counters: SISClientCounters { machine.counters }

    package func mayOffer(bytes: Int, to destination: NodeAddress) -> Bool {
        machine.mayOffer(bytes: bytes, to: destination)
    }

    /// Offers a U_PDU; ``VirtualRadio`` carries it when the call that led here is over, or at its next step.
    @discardableResult
    package func offer(_ request: UnidataRequest, now: NIODeadline) -> SISUnitID {
        let id = SISUnitID(nextUnit)
        nextUnit += 1
        machine.unitOffered(request, id: id, now: now)
        return id
    }

    package func stop(now: NIODeadline) { machine.stopRequested(now: now) }
}
