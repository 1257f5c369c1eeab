import NIOCore
import STANAG5066
import TestSupport
import Testing
import XMPP

@Suite struct XMPPUnitReaderTests {
    private let reader = XMPPUnitReader()

    @Test func `a stanza is a unit, and comes back as the same stanza`() throws {
        let stanza = try StanzaText.read("<message to='b@y.lit' from='a@x.lit/r' xml:lang='de'><body>grüße</body></message>")
        #expect(stanza.rcopUnit == ByteBuffer(string: stanza.text))
        #expect(try reader.read(stanza.rcopUnit) == [.stanza(stanza)])
    }

    @Test func `a unit may hold several stanzas, a declaration, and a closing tag, which means nothing here`() throws {
        let unit = ByteBuffer(string: "<?xml version='1.0'?><message to='b@y'/> <presence to='c@y'/></stream:stream>")
        let content = try reader.read(unit)
        let kinds = content.map { if case .stanza(let stanza) = $0 { stanza.kind } else { StanzaKind.other } }
        #expect(kinds == [.message, .presence])
        #expect(try reader.read(ByteBuffer(string: "</stream:stream>")) == [])
    }

    @Test func `an oversize stanza is told by its start tag`() throws {
        var limits = XMLLimits.link
        limits.stanzaBytes = 200
        let body = String(repeating: "x", count: 300)
        let unit = ByteBuffer(string: "<message to='b@y' id='7'><body>\(body)</body></message>")
        let content = try XMPPUnitReader(limits: limits).read(unit)
        guard case .oversize(let stub, 200) = try #require(content.first) else { Issue.record("not oversize"); return }
        #expect(stub.id == "7")
    }

    @Test(arguments: [
        "<message", "<message>", "<message/><presence", "<message/><!-- -->", "<message>&nbsp;</message>",
        "text", "<message></presence>",
    ])
    func `what is not whole stanzas is refused as a whole`(_ text: String) {
        #expect(throws: StreamError.self) { try reader.read(ByteBuffer(string: text)) }
    }
}
