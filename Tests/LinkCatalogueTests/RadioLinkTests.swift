import HFNode
import LinkCatalogue
import NIOCore
import STANAG5066
import Testing

@Suite("Nodes of a link")
struct RadioLinkTests {
    /// Sends units from the first node to the second, and gives back what arrived.
    private func carry(_ link: RadioLink, units: Int, within duration: TimeAmount) throws -> Int {
        let addresses = try (1...2).map { try #require(NodeAddress(value: $0)) }
        func machine(_ side: HFNodeSide) -> HFNodeMachine {
            HFNodeMachine(
                configuration: link.nodeConfiguration(side, address: addresses[side.rawValue]), timing: link.timing)
        }
        var now = NIODeadline.uptimeNanoseconds(0)
        let end = now + duration
        var pair = HFNodePair(
            first: machine(.first), second: machine(.second), channel: link.radioChannel(origin: now))
        for side in HFNodeSide.allCases { pair.withNode(side, now: now) { $0.clientBound(sap: 6) } }
        for id in 1...UInt64(units) {
            let request = UnidataRequest(
                priority: 6, destinationSAP: .rcop, destination: addresses[1],
                delivery: ServiceType(.arq, confirmation: .node), timeToLive: .unlimited,
                uPDU: ByteBuffer(repeating: 7, count: 150))
            pair.withNode(.first, now: now) { node in
                node.requestReceived(SubmittedUnit(id: id, sourceSAP: .rcop, request), now: now)
            }
        }
        var arrived = 0
        while let next = pair.nextDeadline, next <= end {
            now = max(now, next)
            pair.deadlineReached(now: now)
            while let event = pair.nextEvent() {
                if case .node(.second, .deliver, _) = event { arrived += 1 }
            }
        }
        return arrived
    }

    @Test(arguments: ShippedLinkTests.names)
    func `every shipped link carries something`(name: String) throws {
        let link = try ShippedLinkTests.files.link(name)
        let arrived = try carry(link, units: 5, within: .hours(2))
        // A link file may describe a bad day: what is given up then is not held against it, but something must cross.
        #expect(arrived >= 1)
        if link.forward == .clean { #expect(arrived == 5) }
    }

    @Test func `the settings of the file are those of the nodes`() throws {
        let legacy = try ShippedLinkTests.files.link("hf-legacy-slow")
        let address = try #require(NodeAddress(value: 1))
        let first = legacy.nodeConfiguration(.first, address: address)
        #expect(first.turnaround == .seconds(10) && first.alwaysTransmitsMaximum)
        #expect(first.seed != legacy.nodeConfiguration(.second, address: address).seed)
        #expect(legacy.timing.line == .synchronous)
        #expect(legacy.modes == [legacy.timing: legacy.modem.waveform])
        #expect(try ShippedLinkTests.files.link("hf-diurnal-adaptive").modes.count == 11)
    }

    @Test func `silences are those of the side that they name`() throws {
        var link = try ShippedLinkTests.files.link("hf-lab-1200S")
        link.silences = [RadioLink.Silence(isSecondNode: true, from: .minutes(1), until: .minutes(2))]
        #expect(!link.isSilent(.second, at: .seconds(59)))
        #expect(link.isSilent(.second, at: .minutes(1)))
        #expect(!link.isSilent(.second, at: .minutes(2)))
        #expect(!link.isSilent(.first, at: .seconds(90)))
    }
}
