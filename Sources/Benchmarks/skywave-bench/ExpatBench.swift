import CExpat
import NIOCore

/// Expat alone on the same bytes, with handlers that do nothing: what no reader over expat can be faster than.
enum ExpatBench {
    static func run(_ corpus: Corpus, runs: Int) {
        let measurement = Measurement(items: corpus.stanzas, runs: runs) {
            guard let parser = unsafe XML_ParserCreateNS("UTF-8", CChar(bitPattern: 0xff)) else { return }
            unsafe XML_SetReturnNSTriplet(parser, 1)
            unsafe XML_SetElementHandler(parser, { _, _, _ in }, { _, _ in })
            unsafe XML_SetCharacterDataHandler(parser) { _, _, _ in }
            corpus.feed { bytes in
                unsafe bytes.withUnsafeReadableBytes { read in
                    let start = unsafe read.baseAddress?.assumingMemoryBound(to: CChar.self)
                    let status = unsafe XML_Parse(parser, start, Int32(read.count), 0)
                    precondition(status == XML_STATUS_OK, "expat refuses the corpus")
                }
            }
            unsafe XML_ParserFree(parser)
        }
        report("parse\(corpus.name)-expat-alone", measurement.rate, "stanzas/s")
    }
}
