import NIOCore
import STANAG5066
import TestSupport

/// A node that does with U_PDUs whatever its standard lets it, by chance: it delivers them and says so, says so twice or not at
/// all, rejects them after all, throws them away while it has said flow off, ends binds, and restarts.
final class ModelNode {
    /// Chances in a thousand for each turn, or for each U_PDU.
    struct Faults {
        var silent = 0
        var doubled = 0
        var rejected = 0
        var rejectedThoughDelivered = 0
        var flowOff = 0
        var unbinds = 0
        var rejectsBind = 0
        var subnetOff = 0
        var restarts = 0

        static let none = Faults()
    }

    private struct Held {
        let request: UnidataRequest
        let arrived: NIODeadline
    }

    var faults = Faults.none
    /// First six bytes of every U_PDU that reached the far side.
    private(set) var delivered: Set<UInt64> = []
    private(set) var thrownAway = 0
    private(set) var restarts = 0
    /// What the client is to be sent.
    private(set) var output = ByteBuffer()
    private(set) var isOpen = false
    private var server: SISServerStateMachine
    private let configuration: SISServerConfiguration
    private var held: [Held] = []
    private var isFlowOn = true
    private var random: SeededGenerator

    init(echo: Int, seed: UInt64) {
        var configuration = SISServerConfiguration()
        configuration.responseFragmentBytes = echo
        self.configuration = configuration
        server = SISServerStateMachine(configuration)
        random = SeededGenerator(seed: seed)
    }

    static func name(of uPDU: ByteBuffer) -> UInt64 {
        uPDU.getBytes(at: uPDU.readerIndex, length: min(6, uPDU.readableBytes))?.reduce(0) { $0 << 8 | UInt64($1) } ?? 0
    }

    private func chance(_ thousandths: Int) -> Bool { Int.random(in: 0..<1000, using: &random) < thousandths }

    // MARK: The connection

    func connected() {
        server = SISServerStateMachine(configuration)
        output = ByteBuffer()
        isFlowOn = true
        isOpen = true
    }

    func receive(_ bytes: ByteBuffer, now: NIODeadline) {
        guard isOpen else { return }
        server.bytesReceived(bytes, now: now)
        perform(now: now)
    }

    func takeOutput(_ bytes: Int) -> ByteBuffer? {
        defer { output.discardReadBytes() }
        return output.readSlice(length: min(bytes, output.readableBytes))
    }

    /// The client has closed, or the node restarts: what was held is gone.
    func close() {
        isOpen = false
        held = []
        output = ByteBuffer()
    }

    private func perform(now: NIODeadline) {
        while let action = server.nextAction() {
            switch action {
            case .write(let primitive): primitive.encode(into: &output)
            case .close: close()
            case .bindRequested:
                if chance(faults.rejectsBind) {
                    server.bindRejected(.sapAlreadyAllocated, now: now)
                } else {
                    isFlowOn = true
                    server.bindAccepted(mtu: UInt16.random(in: 300...2_048, using: &random), now: now)
                }
            case .unbound: held = []
            case .submitted(let request, _):
                if isFlowOn {
                    held.append(Held(request: request, arrived: now))
                } else {
                    thrownAway += 1
                }
            case .hardLinkRequested, .hardLinkTerminated, .hardLinkAccepted, .hardLinkRefused, .managementMessage: break
            }
        }
    }

    // MARK: Turns

    /// What happens inside the node, and over the air, at `now`.
    func turn(now: NIODeadline) {
        guard isOpen else { return }
        if chance(faults.restarts) {
            restarts += 1
            return close()
        }
        if chance(faults.unbinds) { server.unbindRequested(.preempted) }
        if chance(faults.flowOff) || !isFlowOn && chance(max(200, 1000 - 500 * faults.flowOff)) {
            isFlowOn.toggle()
            server.primitiveOffered(isFlowOn ? .dataFlowOn : .dataFlowOff)
        }
        if chance(faults.subnetOff) { server.primitiveOffered(.subnetAvailability(.receiveOnly, .emissionControl)) }
        if chance(300) || faults.subnetOff == 0 { server.primitiveOffered(.subnetAvailability(.halfDuplex, .unspecified)) }
        if chance(50) { server.primitiveOffered(.keepAlive) }
        perform(now: now)
        // In order, as far as the turn carries.
        let carried = held.prefix(Int.random(in: 0...8, using: &random))
        held.removeFirst(carried.count)
        for unit in carried { answer(unit, now: now) }
        perform(now: now)
    }

    private func answer(_ unit: Held, now: NIODeadline) {
        if let life = unit.request.timeToLive.duration, unit.arrived + life <= now {
            return server.unitRejected(unit.request, isExpedited: false, reason: .timeToLiveExpired)
        }
        if chance(faults.rejected) {
            return server.unitRejected(unit.request, isExpedited: false, reason: .destinationNotResponding)
        }
        delivered.insert(Self.name(of: unit.request.uPDU))
        if chance(faults.rejectedThoughDelivered) {
            return server.unitRejected(unit.request, isExpedited: false, reason: .destinationNotResponding)
        }
        if chance(faults.silent) { return }
        server.unitConfirmed(unit.request, isExpedited: false)
        if chance(faults.doubled) { server.unitConfirmed(unit.request, isExpedited: false) }
    }
}
