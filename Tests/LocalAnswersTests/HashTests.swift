@testable import LocalAnswers
import Testing
import XMPP

@Suite struct HashTests {
    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// Lengths around the ends of blocks and of the padding, with digests of OpenSSL.
    static let vectors: [(count: Int, sha1: String, sha256: String)] = [
        (
            0, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
        (
            3, "4201de9f98cb0a9b8cf52398be7802b55d45266a",
            "6ab0dba1f4f1dfbb37b4f9eeb092c09fca4900ad32bdcd147d8dde35d6c87c35"
        ),
        (
            55, "63ac9708fb581dd150d3647549f9e0cb51dcf1df",
            "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72"
        ),
        (
            56, "5a0c4d0eb2f15e05bbbff6b8dada9ae767fc03f0",
            "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1"
        ),
        (
            57, "4e77d3077d2ab5167db3434c31cac3d15a3afc12",
            "903284efbf9100e8ba1614ec65eacacad125e03f857cae7acbf8b73b23e0fdfe"
        ),
        (
            63, "d94ff3ad53f9b9327704b812ee9c1f3abbba3d48",
            "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e"
        ),
        (
            64, "5f55a35e13f1865e7ffc22dca1275b1a49b0ff56",
            "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8"
        ),
        (
            65, "d7f8931010f8342a97383e1410a58c47d057708b",
            "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720"
        ),
        (
            119, "774001b5ad1f46b40c48e1b94cb092c593ead25b",
            "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e"
        ),
        (
            120, "6ebf3111dc761f11b13f29df0484848785385973",
            "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d"
        ),
        (
            128, "0a44ac02432f6ead67d86fcb70a4d8ce589e50ec",
            "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707"
        ),
        (
            1_000, "7461968a9edb9b418224f1acb305d2feeaa10ba5",
            "6b0df76627243d095b0c4400cb658b7e804dd03461cc03aee8fc8fe0bcada168"
        ),
    ]

    @Test(arguments: vectors)
    func `digests are those of FIPS 180-4`(vector: (count: Int, sha1: String, sha256: String)) {
        let message = (0..<vector.count).map { UInt8(truncatingIfNeeded: $0 * 7 + vector.count) }
        #expect(Self.hexadecimal(SHA1.digest(message)) == vector.sha1)
        #expect(Self.hexadecimal(SHA256.digest(message)) == vector.sha256)
    }

    @Test func `the examples of FIPS 180 come out`() {
        #expect(Self.hexadecimal(SHA1.digest(Array("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(
            Self.hexadecimal(SHA256.digest(Array("abc".utf8)))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy"),
    ])
    func `Base64 is that of RFC 4648`(text: String, encoded: String) {
        #expect(Base64.encode(Array(text.utf8)) == encoded)
        #expect(Base64.bytes(of: encoded, skipsWhiteSpace: true) == Array(text.utf8))
        #expect(Base64.bytes(of: encoded.map { "\n \($0)" }.joined(), skipsWhiteSpace: true) == Array(text.utf8))
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Z=g=", "Zm9v=", "Zm9*", "=", "Zm9vé"])
    func `what is no Base64 is not decoded`(text: String) { #expect(Base64.bytes(of: text, skipsWhiteSpace: true) == nil) }
}
