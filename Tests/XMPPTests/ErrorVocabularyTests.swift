import Testing
import XMPP

@Suite struct ErrorVocabularyTests {
    @Test(arguments: StreamErrorCondition.allCases) func `a stream error is read as it was written`(
        _ condition: StreamErrorCondition
    ) throws {
        let error = StreamError(condition, text: "a < b")
        let found = events(of: header + error.element(), root: .received)
        guard case .stanza(let stanza)? = found.last else {
            Issue.record("no element")
            return
        }
        #expect(StreamError(stanza.root) == error)
    }

    @Test(arguments: StanzaErrorCondition.allCases) func `an error answers a stanza and never an error`(
        _ condition: StanzaErrorCondition
    ) throws {
        let request = try #require(
            read("<iq to='b@b.example/r' from='a@a.example/s' type='get' id='x1'><ping xmlns='urn:xmpp:ping'/></iq>"))
        let reply = try #require(request.errorReply(condition, text: "why"))
        #expect(
            reply.text
                == "<iq to='a@a.example/s' from='b@b.example/r' type='error' id='x1'><error type='\(condition.defaultType.rawValue)'><\(condition.rawValue) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>why</text></error></iq>")
        #expect(reply.errorCondition == condition && reply.isIQAnswer)
        #expect(canonical(reply.text) == [reply.text])
        #expect(reply.errorReply(condition) == nil, "peers d18")
    }

    @Test func `a result is never answered`() throws {
        let result = try #require(read("<iq to='b@b.example/r' from='a@a.example/s' type='result' id='1'/>"))
        #expect(result.errorReply(.badRequest) == nil)
    }

    @Test func `the counts are those of RFC 6120`() {
        #expect(StreamErrorCondition.allCases.count == 25)
        #expect(StanzaErrorCondition.allCases.count == 22)
    }
}
