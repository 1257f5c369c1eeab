import Bridge
import Logging
import Synchronization
import Testing

@Suite("Log lines")
struct LoggingTests {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var sink: LogSink { LogSink(wantsTime: false) { line in self.lines.withLock { $0.append(line) } } }
        var all: [String] { lines.withLock { $0 } }
    }

    @Test("A text line cannot be forged by what it reports")
    func text() {
        let lines = Lines()
        let logger = Logger(label: "test") {
            StderrLogHandler(label: $0, level: .info, format: .text, sink: lines.sink)
        }
        logger.info("hello\nerror test: forged", metadata: ["b": "x y=\"z\"", "a": "plain", "c": "\u{202E}\u{1B}[31m"])
        logger.debug("not shown")
        #expect(
            lines.all == [
                #"info test: hello\nerror test: forged a=plain b="x y=\"z\"" c="\u{202e}\u{1b}[31m""# + "\n"
            ])
    }

    @Test("A JSON line is one object whose own fields are not shadowed")
    func json() throws {
        let lines = Lines()
        let logger = Logger(label: "test") {
            StderrLogHandler(label: $0, level: .info, format: .json, sink: lines.sink)
        }
        logger.warning("a \"b\"\n\u{1F680}", metadata: ["message": "x", "peer": "shore"])
        let line = try #require(lines.all.first)
        #expect(line.hasPrefix("{\"time\":\""))
        #expect(line.hasSuffix(#""message":"a \"b\"\u000a🚀","_message":"x","peer":"shore"}"# + "\n"))
    }

    @Test("Times are UTC as RFC 3339 writes them")
    func time() {
        #expect(LogTime.format(seconds: 1_234_567_890, milliseconds: 7) == "2009-02-13T23:31:30.007Z")
    }
}
