import Blocks
import NIOCore
import Testing
import XMPP

@testable import Transports

/// What operators read.
@Suite struct LinkWordsTests {
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    @Test func `every end is one plain sentence, and what the peer wrote cannot disturb a terminal`() {
        let hostile = StreamError(.undefinedCondition, text: "\u{1B}[2J\n" + String(repeating: "x", count: 10_000))
        let ends: [LinkEnd] =
            [
                .closedByPeer, .cut, .reset, .silent, .replaced, .closed, .dialTimeout, .failed("Something"),
                .endedByPeer, .badBlock(.malformed("flags of a body without a body")),
                .badBlock(.tooLarge("a block of 9 bytes")),
                .badBlock(.reservedFlag), .badBlock(.damaged), .agreementBroken(StreamError(.policyViolation)),
                .otherVersion(own: 1, peer: nil), .otherVersion(own: 1, peer: 2),
                .errorSent(StreamError(.restrictedXML)), .errorReceived(hostile),
            ] + StreamErrorCondition.allCases.map { .errorReceived(StreamError($0)) }
        for end in ends {
            let sentence = end.sentence
            #expect(sentence.hasSuffix("."), "\(sentence)")
            #expect(sentence.first?.isUppercase == true, "\(sentence)")
            #expect(sentence.utf8.count < 600, "\(sentence)")
            #expect(sentence.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
        }
        let both = LinkEnd.otherVersion(own: 1, peer: 7).sentence
        #expect(both.contains("version 1 of the link protocol and the peer version 7"))
        #expect(LinkEnd.errorReceived(StreamError(.conflict)).sentence.contains("only one bridge of this site"))
    }

    @Test func `the state is a sentence that says what happens next`() {
        var status = LinkStatus(peer: "shore", state: .waiting(until: now + .milliseconds(4_200)), since: now)
        #expect(status.sentence(now: now) == "Not connected; dialling again in 5 s.")
        #expect(status.sentence(now: now + .seconds(9)) == "Not connected; dialling again now.")
        status.state = .connected
        status.connections = [
            .init(description: "dialled 10.1.2.3:5269, TLS", since: now, sends: true, bytesReceived: 1, bytesSent: 2)
        ]
        #expect(status.sentence(now: now) == "Connected: dialled 10.1.2.3:5269, TLS.")
        for state in [LinkStatus.State.stopped, .resting, .dialling, .closing] {
            status.state = state
            #expect(status.sentence(now: now).hasSuffix("."))
        }
    }

    @Test func `a plain configuration without protection names its sources, a TLS one has no warning`() {
        let sources = LinkSources(description: "10.1.2.0/24") { _ in true }
        let plain = TCPLinkConfiguration(peer: "p", remote: nil, listens: true, security: .insecure(sources))
        #expect(plain.warning?.contains("10.1.2.0/24") == true)
        #expect(plain.policy.dial == .never)
        let tls = LinkTLS(certificatePath: "c", keyPath: "k", trust: .fingerprints([[1]]), serverName: nil)
        let both = TCPLinkConfiguration(
            peer: "p", remote: .init(host: "::1", port: 5), listens: true, security: .tls(tls, sources: nil))
        #expect(both.warning == nil)
        #expect(both.policy.dial == .whenNeeded(atStart: true))
        #expect(both.remote?.description == "[::1]:5")
        let only = TCPLinkConfiguration(
            peer: "p", remote: .init(host: "h", port: 5), listens: false, security: .tls(tls, sources: nil))
        #expect(only.policy.dial == .always)
    }
}
