import Testing
import XMPP

@Suite struct AddressTests {
    @Test(arguments: [
        ("juliet@example.com", "juliet", "example.com", nil), ("example.com", nil, "example.com", nil),
        ("juliet@example.com/foo", "juliet", "example.com", "foo"),
        ("juliet@example.com/foo bar", "juliet", "example.com", "foo bar"),
        ("juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"),
        ("example.com/a/b", nil, "example.com", "a/b"), ("fußball@example.com", "fußball", "example.com", nil),
        ("π@example.com", "π", "example.com", nil), ("Σ@example.com/foo", "σ", "example.com", "foo"),
        ("king@example.com/♚", "king", "example.com", "♚"), ("A@EXAMPLE.com.", "a", "example.com", nil),
        ("a@[::1]", "a", "[::1]", nil), ("jack\\20o@e.example", "jack\\20o", "e.example", nil),
    ] as [(String, String?, String, String?)]) func `RFC 7622 addresses are taken apart`(
        _ text: String, _ local: String?, _ domain: String, _ resource: String?
    ) throws {
        let address = try #require(JID(text))
        #expect(address.local == local && address.domain.string == domain && address.resource == resource)
        #expect(JID(address.description) == address)
    }

    @Test(arguments: [
        "", "@example.com", "juliet@", "@", "/", "juliet@example.com/", "a b@example.com", "\"j\"@example.com",
        "henry\u{a0}@example.com", "a@b@c.example", "a@exa mple", "<a@example.com", "a@.example", "a@exa..mple", "a@example/\u{1}",
        "\(String(repeating: "a", count: 1_024))@example.com", "a@\(String(repeating: "a", count: 1_024))",
        "a@example/\(String(repeating: "r", count: 1_024))",
    ]) func `what RFC 7622 forbids is no address`(_ text: String) {
        #expect(JID(text) == nil)
    }

    @Test func `parts may have their greatest length`() {
        let part = String(repeating: "a", count: 1_023)
        #expect(JID("\(part)@\(part)/\(part)") != nil)
    }

    @Test func `equal addresses compare equal`() {
        #expect(JID("Juliet@Example.COM") == JID("juliet@example.com"))
        #expect(JID("juliet@example.com/A") != JID("juliet@example.com/a"))
        #expect(JID("juliet@example.com/A")?.bare == JID("juliet@example.com"))
    }

    @Test(arguments: [
        ("hq.example", "hq.example", true), ("hq.example", "a.hq.example", false), ("*.hq.example", "a.hq.example", true),
        ("*.hq.example", "a.b.hq.example", true), ("*.hq.example", "hq.example", false),
        ("*.hq.example", "evilhq.example", false),
    ]) func `a wildcard stands for what lies below it`(_ pattern: String, _ domain: String, _ expected: Bool) throws {
        let candidate = try #require(Domain(domain))
        #expect(try #require(DomainPattern(pattern)).matches(candidate) == expected)
    }

    @Test(arguments: [
        ("a.example", "a.example", true), ("*.a.example", "x.a.example", true), ("*.a.example", "*.b.a.example", true),
        ("*.a.example", "a.example", false), ("*.a.example", "*.b.example", false),
    ]) func `overlap is found both ways`(_ left: String, _ right: String, _ expected: Bool) throws {
        let left = try #require(DomainPattern(left))
        let right = try #require(DomainPattern(right))
        #expect(left.overlaps(right) == expected && right.overlaps(left) == expected)
    }

    @Test(arguments: ["", "*", "*.", "a b", "*.*.example"]) func `no pattern is made of what is no domain`(_ text: String) {
        #expect(DomainPattern(text) == nil)
    }
}
