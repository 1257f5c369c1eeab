import HFNode
import LinkCatalogue
import NIOCore
import RadioSimulator
import Testing

struct BulkMeasurementTests {
    @Test(arguments: ["hf-lab-1200S", "hf-lab-9600VL"])
    func `raw units of a client use a link as the closed form says`(_ name: String) throws {
        let link = try RadioLink.shipped(name)
        let bulk = BulkMeasurement.run(link: link, settling: .minutes(20), duration: .hours(2))
        var form = ClosedForm(
            timing: link.timing, segmentBytes: link.node.segmentBytes, turnaround: link.node.turnaround)
        form.unitBytes = link.clients.maximumUnit
        form.unitOverhead = 0
        let share = bulk.utilisation(bitsPerSecond: link.modem.waveform.bitsPerSecond)
        #expect(abs(100 * share - form.bulk.utilisation) < 1)
    }
}
