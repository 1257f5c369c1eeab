package import NIOCore
package import STANAG5066

/// One transmission of a node: D_PDUs back to back, as the modem gets them.
package struct Burst: Hashable, Sendable {
    /// A D_PDU in it.
    package struct Element: Hashable, Sendable {
        package let bytes: ByteBuffer
        /// Where it begins in the data of the transmission, in bytes.
        package let offset: Int
        /// Of these bytes, from the sync to the header's checksum; the segment and its checksum follow.
        package let headerBytes: Int

        /// Where it ends.
        package var end: Int { offset + bytes.readableBytes }
    }

    /// The modem for this transmission.
    package let timing: TransmissionTiming
    package let destination: NodeAddress
    package let elements: [Element]
    /// Bytes of all elements.
    package let byteCount: Int
    /// Of the data on the air; longer than the elements need for a node that always transmits the maximum.
    package let dataDuration: TimeAmount

    /// From the order to transmit to the end of the carrier.
    package var duration: TimeAmount { timing.untilData + dataDuration }
}

/// Collects the D_PDUs of a burst as long as there is room, then gives each the end of transmission and its bytes.
struct BurstBuilder {
    enum Item {
        case ready(DPDU.Content)
        /// An ARQ frame by its place in the window; its flags depend on the whole burst.
        case frame(place: Int, acknowledgement: DPDU.Acknowledgement?)
    }

    let configuration: HFNodeConfiguration
    let timing: TransmissionTiming
    let destination: NodeAddress
    /// Bytes that may go.
    let room: Int
    private(set) var items: [Item] = []
    private(set) var used = 0
    private(set) var hasData = false

    init(configuration: HFNodeConfiguration, timing: TransmissionTiming, destination: NodeAddress) {
        self.configuration = configuration
        self.timing = timing
        self.destination = destination
        let limit = min(configuration.maximumTransmission, HFNodeConfiguration.longestTransmission)
        room = timing.capacity(within: limit)
    }

    var isEmpty: Bool { items.isEmpty }

    /// Whether so many bytes fit. The first D_PDU always does: a node that is given no room for one could never send.
    func fits(_ bytes: Int) -> Bool { used + bytes <= room || items.isEmpty }

    func size(_ content: DPDU.Content) -> Int {
        DPDU(source: configuration.address, destination: destination, content: content)
            .encodedSize(addressBytes: configuration.addressBytes)
    }

    /// Takes the D_PDU if it fits.
    mutating func add(_ content: DPDU.Content) -> Bool {
        let size = size(content)
        guard fits(size) else { return false }
        items.append(.ready(content))
        used += size
        return true
    }

    /// Takes an ARQ frame whose segment has so many bytes, if it fits.
    mutating func add(place: Int, segmentBytes: Int, acknowledgement: DPDU.Acknowledgement?) -> Bool {
        let size = frameSize(segmentBytes: segmentBytes, acknowledgement: acknowledgement)
        guard fits(size) else { return false }
        items.append(.frame(place: place, acknowledgement: acknowledgement))
        used += size
        hasData = true
        return true
    }

    func frameSize(segmentBytes: Int, acknowledgement: DPDU.Acknowledgement?) -> Int {
        let addresses = size(.warning(.init(receivedType: 0, reason: 0))) - DPDU.fixedBytes - 1
        let part = acknowledgement.map { 1 + $0.bitmap.count } ?? 0
        return DPDU.dataOverhead + addresses + part + segmentBytes
    }

    /// - Parameter frame: the ARQ frame at a place of the window.
    func finish(orderwire: EngineeringOrderwire, frame: (Int) -> DPDU.DataFrame) -> Burst {
        let limit = min(configuration.maximumTransmission, HFNodeConfiguration.longestTransmission)
        let isPadded = configuration.alwaysTransmitsMaximum && hasData
        let needed = timing.dataDuration(bytes: used)
        let total = isPadded ? max(needed, timing.dataDuration(bytes: timing.capacity(within: limit))) : needed
        var elements: [Burst.Element] = []
        elements.reserveCapacity(items.count)
        var offset = 0
        for item in items {
            let content: DPDU.Content =
                switch item {
                case .ready(let content): content
                case .frame(let place, nil): .data(frame(place))
                case .frame(let place, .some(let part)): .dataAcknowledgement(frame(place), part)
                }
            var dpdu = DPDU(source: configuration.address, destination: destination, content: content)
            dpdu.endOfTransmission = timing.endOfTransmission(offset: offset, total: total)
            // Another management message may not be covered up.
            if case .management = content {} else { dpdu.orderwire = orderwire }
            var buffer = ByteBuffer()
            buffer.reserveCapacity(dpdu.encodedSize(addressBytes: configuration.addressBytes))
            dpdu.encode(into: &buffer, addressBytes: configuration.addressBytes)
            let segment = content.segment.map { $0.readableBytes + DPDU.segmentChecksumBytes } ?? 0
            elements.append(
                Burst.Element(bytes: buffer, offset: offset, headerBytes: buffer.readableBytes - segment))
            offset += buffer.readableBytes
        }
        return Burst(
            timing: timing, destination: destination, elements: elements, byteCount: offset, dataDuration: total)
    }
}
