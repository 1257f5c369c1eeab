import HFNode
package import LinkCatalogue
package import NIOCore
package import STANAG5066

/// What a pair of nodes carries for a client that always has something to send, as raw U_PDUs over the subnetwork
/// interface: the measure for whoever puts something more clever on top.
package struct BulkMeasurement: Hashable, Sendable {
    /// Bytes of U_PDUs that the far client was given while it was measured.
    package let bytes: Int
    package let duration: TimeAmount
    /// Turns of the channel meanwhile.
    package let turns: Int

    /// Bytes in an hour of virtual time.
    package var bytesPerHour: Double { Double(bytes) * 3_600 * 1_000_000_000 / Double(duration.nanoseconds) }

    /// The share of a rate, 0 to 1.
    package func utilisation(bitsPerSecond: Int) -> Double { bytesPerHour * 8 / 3_600 / Double(bitsPerSecond) }

    /// Measures one direction, from the first node to the second, after some cycles have passed.
    ///
    /// - Parameters:
    ///   - unitBytes: of each U_PDU; nil for the MTU.
    ///   - bytesInNode: what the client lets be in the node, at most; nil for twice an ARQ window.
    ///   - settling: time before the measurement begins.
    package static func run(
        link: RadioLink, confirmation: DeliveryConfirmation = .node, unitBytes: Int? = nil, bytesInNode: Int? = nil,
        settling: TimeAmount = .minutes(20), duration: TimeAmount = .hours(4), seed: UInt64? = nil
    ) -> BulkMeasurement {
        let radio = VirtualRadio(link: link, seed: seed)
        let service = ServiceType(.arq, confirmation: confirmation)
        var configuration = SISClientConfiguration(bind: BindRequest(sap: .rcop, rank: 0, service: service))
        configuration.bytesInNode = bytesInNode ?? 2 * link.node.window * link.node.segmentBytes
        configuration.bytesPerDestination = configuration.bytesInNode
        configuration.unitsInNode = .max
        let size = unitBytes ?? link.clients.maximumUnit
        let destination = radio.nodes.address(.second)
        var count: UInt64 = 0
        radio.addClient(.second, configuration, seed: 2)
        radio.addClient(.first, configuration, seed: 3) { client, action, now in
            guard action == .creditAvailable else { return }
            while client.mayOffer(bytes: size, to: destination) {
                count += 1
                // The beginning tells units apart in confirmations.
                var unit = ByteBuffer(integer: count)
                unit.writeRepeatingByte(UInt8(truncatingIfNeeded: count), count: max(0, size - 8))
                client.offer(
                    UnidataRequest(
                        priority: 0, destinationSAP: .rcop, destination: destination, delivery: service,
                        timeToLive: .unlimited, uPDU: unit.getSlice(at: 0, length: size) ?? unit),
                    now: now)
            }
        }
        radio.run(for: settling)
        let before = radio.nodes.statistics
        radio.run(for: duration)
        let after = radio.nodes.statistics
        return BulkMeasurement(
            bytes: after.second.bytesDelivered - before.second.bytesDelivered, duration: duration,
            turns: after.turns - before.turns)
    }
}
