import TLS
import Testing
import XMPP

@Suite("Stream secrets (XEP-0185, XEP-0220, XEP-0114)")
struct ServerStreamSecretsTests {
    private func domain(_ text: String) throws -> Domain { try #require(Domain(text)) }

    @Test("both test vectors of XEP-0185 come out")
    func testVectors() throws {
        let first = OpenSSLServerStreamSecrets(secret: Array("s3cr3tf0rd14lb4ck".utf8))
        #expect(
            try first.dialbackKey(
                receiving: self.domain("montague.example"), originating: self.domain("capulet.example"),
                streamID: "D60000229F")
                == "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3")
        let second = OpenSSLServerStreamSecrets(secret: Array("d14lb4ck43v3r".utf8))
        #expect(
            try second.dialbackKey(
                receiving: self.domain("capulet.example"), originating: self.domain("montague.example"),
                streamID: "417GAF25")
                == "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d")
    }

    @Test("peers d2: a key belongs to one order of domains, one stream and one secret")
    func keysDiffer() throws {
        let secrets = OpenSSLServerStreamSecrets.random()
        let key = try secrets.dialbackKey(
            receiving: self.domain("a.example"), originating: self.domain("b.example"), streamID: "1")
        var others: Set<String> = [key]
        // The same characters with the borders between the fields at other places.
        for (receiving, originating, id) in [
            ("b.example", "a.example", "1"), ("a.example", "b.example", "2"), ("a.exampleb", "example", "1"),
            ("a", "example.b.example", "1"), ("a.example", "b.example1", ""), ("a.example", "b.example", " 1"),
        ] {
            let other = try secrets.dialbackKey(
                receiving: self.domain(receiving), originating: self.domain(originating), streamID: id)
            #expect(others.insert(other).inserted)
        }
        let elsewhere = try OpenSSLServerStreamSecrets.random().dialbackKey(
            receiving: self.domain("a.example"), originating: self.domain("b.example"), streamID: "1")
        #expect(elsewhere != key)
    }

    @Test("the component handshake is the SHA-1 of stream id and secret")
    func componentHandshake() {
        // SHA-1 of "3BF96D32" + "secret", computed by coreutils' sha1sum.
        let secrets = OpenSSLServerStreamSecrets.random()
        #expect(
            secrets.componentHandshake(streamID: "3BF96D32", secret: "secret")
                == "b09ea9b3b7f586be8a08d0a3dd7466f110aeb136")
    }

    @Test("the constant-time comparison is an equality of bytes")
    func comparison() {
        let secrets = OpenSSLServerStreamSecrets.random()
        #expect(secrets.equalInConstantTime("", ""))
        #expect(secrets.equalInConstantTime("abc", "abc"))
        #expect(!secrets.equalInConstantTime("abc", "abd"))
        #expect(!secrets.equalInConstantTime("abc", "ab"))
        #expect(!secrets.equalInConstantTime("", "a"))
        // Equal as characters, different as bytes.
        #expect(!secrets.equalInConstantTime("\u{e9}", "e\u{301}"))
    }
}

@Suite("Random numbers (peers d20)")
struct SecureRandomTests {
    @Test("bytes and hexadecimal text have the length that was asked for and differ each time")
    func lengths() {
        #expect(SecureRandom.bytes(0) == [])
        #expect(SecureRandom.bytes(32).count == 32)
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
        let text = SecureRandom.hex(bytes: 16)
        #expect(text.count == 32)
        #expect(text.allSatisfy { $0.isHexDigit && !$0.isUppercase })
        #expect(SecureRandom.hex(bytes: 16) != text)
    }

    @Test("uniform numbers reach every value of a small range and nothing else")
    func uniform() {
        let numbers = (0..<400).map { _ in SecureRandom.uniform(in: 3..<7) }
        #expect(Set(numbers) == [3, 4, 5, 6])
        #expect(SecureRandom.uniform(in: Int64.max - 1..<Int64.max) == Int64.max - 1)
    }
}
