import Foundation
import SampleTraffic
import TestSupport
import Testing

/// Inputs that once broke a property of the reader, and the seeds from which the fuzzer starts.
@Suite struct FuzzRegressionTests {
    @Test(arguments: FuzzInputs.all(of: "FuzzXMLReader"))
    func `what the fuzzer knows holds`(_ file: URL) throws {
        #expect(StreamReaderProperties.violation(in: try Data(contentsOf: file)) == nil)
    }

    @Test func `there are inputs to start from`() {
        #expect(FuzzInputs.files(.corpus, of: "FuzzXMLReader").count >= 10)
    }

    @Test(arguments: [UInt8(0), 1]) func `sample traffic at any split gives the same stanzas`(_ root: UInt8) {
        var generator = TrafficGenerator(seed: 3)
        let header =
            root == 0
            ? "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>" : ""
        for seed in UInt8(0)..<20 {
            let stream = header + generator.next(40).map(\.xml).joined()
            #expect(StreamReaderProperties.violation(in: [root, seed] + Array(stream.utf8)) == nil)
        }
    }
}
