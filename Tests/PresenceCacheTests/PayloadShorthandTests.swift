import TestSupport
import Testing

@testable import PresenceCache

@Suite struct PayloadShorthandTests {
    private func shortened(_ bytes: [UInt8]) -> [UInt8]? {
        unsafe bytes.withUnsafeBytes { unsafe PayloadShorthand.shortened($0) }
    }

    private func written(_ short: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe short.withUnsafeBytes { unsafe PayloadShorthand.append($0, to: &bytes) }
        return bytes
    }

    private func equals(_ short: [UInt8], _ bytes: [UInt8]) -> Bool {
        unsafe short.withUnsafeBytes { short in
            unsafe bytes.withUnsafeBytes { unsafe PayloadShorthand.equals(short, $0) }
        }
    }

    @Test func `a payload with a photo takes less than half`() throws {
        let payload = Array(
            ("<show>away</show><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                + "node='https://client7.example/' ver='7QgayPKawpkPSDYmwT/WM94uAlu0='/>"
                + "<x xmlns='vcard-temp:x:update'><photo>0123456789abcdef0123456789abcdef01234567</photo></x>").utf8)
        let short = try #require(shortened(payload))
        #expect(short.count * 2 < payload.count)
        #expect(written(short) == payload)
        #expect(equals(short, payload))
    }

    @Test(arguments: [UInt64(1), 2, 3, 4]) func `any bytes come out as they went in, and equal only themselves`(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let pieces: [[UInt8]] = [
            Array("<show>".utf8), Array("<show>away</show>".utf8), Array("'/>".utf8), Array("' ver='".utf8), [0xFD], [0xFE], [0xFF],
            Array("deadbeef".utf8), Array("0123456".utf8), Array("<status>".utf8), [0], Array("ü".utf8),
            Array(String(repeating: "a1", count: 300).utf8),
        ]
        var shorter = 0
        for _ in 0..<4_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<6, using: &random) {
                bytes += Bool.random(using: &random)
                    ? pieces.randomElement(using: &random) ?? []
                    : (0..<Int.random(in: 0..<4, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            }
            guard let short = shortened(bytes) else { continue }
            shorter += 1
            #expect(written(short) == bytes)
            #expect(equals(short, bytes))
            #expect(!equals(short, bytes + [0x61]) && !equals(short, Array(bytes.dropLast())))
            var other = bytes
            let place = Int.random(in: 0..<bytes.count, using: &random)
            other[place] ^= UInt8.random(in: 1...255, using: &random)
            #expect(!equals(short, other))
        }
        #expect(shorter > 500)
    }
}
