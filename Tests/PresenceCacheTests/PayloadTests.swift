import NIOCore
import TestSupport
import Testing
import XMPP

/// Payloads: what a presence says, taken out and put under other addresses.
@Suite struct PayloadTests {
    private func payload(_ stanza: Stanza) -> [UInt8] {
        var payload: [UInt8] = []
        stanza.appendPayload(to: &payload)
        return payload
    }

    private func remade(_ payload: [UInt8]?, to: String, from: String, _ type: StanzaType = .absent) -> Stanza? {
        func parts(_ address: String) -> ([UInt8], [UInt8]) {
            let slash = address.firstIndex(of: "/") ?? address.endIndex
            return (Array(address[..<slash].utf8), Array(address[slash...].dropFirst().utf8))
        }
        let ((toBare, toResource), (fromBare, fromResource)) = (parts(to), parts(from))
        var writer = PresenceWriter()
        return unsafe toBare.withUnsafeBytes { toBare in
            unsafe toResource.withUnsafeBytes { toResource in
                unsafe fromBare.withUnsafeBytes { fromBare in
                    unsafe fromResource.withUnsafeBytes { fromResource in
                        let to = unsafe PresenceWriter.Address(bare: toBare, resource: toResource)
                        let from = unsafe PresenceWriter.Address(bare: fromBare, resource: fromResource)
                        guard let payload else {
                            return unsafe writer.make(to: to, from: from, type: type, payload: nil)
                        }
                        return unsafe payload.withUnsafeBytes {
                            unsafe writer.make(to: to, from: from, type: type, payload: $0)
                        }
                    }
                }
            }
        }
    }

    /// Everything that can be asked of a stanza.
    private func facts(_ stanza: Stanza) -> [String] {
        [
            stanza.text, "\(stanza.kind) \(stanza.type) \(stanza.elementCount) \(stanza.byteCount)",
            stanza.to?.description ?? "", stanza.from?.description ?? "", stanza.id ?? "-", stanza.language ?? "-",
            "\(stanza.pairHash) \(stanza.bareToHash) \(stanza.bareFromHash)",
            "\(stanza.toDomainHash) \(stanza.fromDomainHash)",
            stanza.toDomain?.string ?? "", "\(stanza.toPlace as Any) \(stanza.fromPlace as Any)",
        ]
            + stanza.root.children.flatMap { element in
                [element.xml, element.name, element.namespace, element.text, "\(element.interned.code)"]
                    + element.children.map(\.xml)
            }
    }

    private static let delay = "<delay xmlns='urn:xmpp:delay' from='a' stamp='2026-01-01T00:00:00Z'><x/>y</delay>"

    @Test(arguments: [
        "", "<show>away</show>", "text", "<a xmlns='urn:x'><b><c/>d</b><e/></a>tail<show/>",
        "<status>a &amp; b &lt; c</status><priority>-1</priority><c xmlns='http://jabber.org/protocol/caps' ver='x'/>",
        "<securitylabel xmlns='urn:xmpp:sec-label:0'><p:l xmlns:p='urn:p'>x</p:l></securitylabel>",
    ]) func `a stanza made of a payload is the stanza that a parser makes`(_ content: String) throws {
        for (to, from) in [
            ("c@d.example", "a@b.example/r"), ("d.example", "b.example"),
            ("C@D.example/x y &amp; z", "a@b.example/ü/@"),
        ] {
            for attributes in ["", " id='1'", " xml:lang='de'", " xml:lang='de' zeta='1' id='i'"] {
                let plain = try stanza("<presence to='\(to)' from='\(from)'\(attributes)>\(content)</presence>")
                let expected = try stanza(
                    plain.text.replacingFirst(" id='1'", "").replacingFirst(" id='i'", ""))
                let result = remade(payload(plain), to: plain.toText, from: plain.fromText)
                #expect(result.map(facts) == facts(expected))
                // Wherever a delay stands, it is not there.
                for delayed in [Self.delay + content, content + Self.delay, Self.delay + content + Self.delay] {
                    let stamped = try stanza("<presence to='\(to)' from='\(from)'\(attributes)>\(delayed)</presence>")
                    #expect(payload(stamped) == payload(plain))
                    #expect(stamped.presenceFingerprint == plain.presenceFingerprint)
                }
            }
        }
    }

    @Test func `a payload has its stanza's type from its maker`() throws {
        let gone = remade(nil, to: "a@b", from: "c@d/e", .unavailable)
        let expected = try stanza("<presence to='a@b' from='c@d/e' type='unavailable'/>")
        #expect(gone.map(facts) == facts(expected))
        let probe = remade(nil, to: "a@b", from: "c@d/e", .probe)
        #expect(gone?.presenceFingerprint != probe?.presenceFingerprint)
    }

    @Test func `a delay between children is cut out of the middle`() throws {
        let with = try stanza("<presence to='a@b' from='c@d'><show>xa</show>\(Self.delay)<status>x</status></presence>")
        let without = try stanza("<presence to='a@b' from='c@d'><show>xa</show><status>x</status></presence>")
        #expect(payload(with) == payload(without))
        #expect(remade(payload(with), to: "a@b", from: "c@d").map(facts) == facts(without))
    }

    @Test func `bytes that are no payload make nothing, and break nothing`() throws {
        let whole = payload(
            try stanza("<presence to='a@b' from='c@d'><show>xa</show><a xmlns='x'><b/></a></presence>"))
        for count in 0..<whole.count {
            if let stanza = remade(Array(whole.prefix(count)), to: "a@b", from: "c@d") { _ = stanza.text }
        }
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            var damaged = whole
            damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            if let stanza = remade(damaged, to: "a@b", from: "c@d") { _ = stanza.byteCount }
        }
    }
}

extension String {
    fileprivate func replacingFirst(_ part: String, _ replacement: String) -> String {
        guard let range = self.firstRange(of: part) else { return self }
        return self.replacingCharacters(in: range, with: replacement)
    }

    private func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
