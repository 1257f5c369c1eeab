import Foundation
import NIOCore
import STANAG5066
import Testing

/// The worked examples of docs/rcop.md, both ways.
@Suite struct RCOPDocumentTests {
    /// Name and bytes of every example.
    private static let examples: [String: ByteBuffer] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/rcop.md")
        var found: [String: ByteBuffer] = [:]
        var name: String?
        for line in ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n") {
            if line.hasPrefix("```hex ") {
                name = String(line.dropFirst(7))
            } else if line.hasPrefix("```") {
                name = nil
            } else if let name {
                found[name] = ByteBuffer(hex: String(line))
            }
        }
        return found
    }()

    @Test func `the examples are what the words say`() {
        let single = cut("skywave", number: 0x11)
        let several = cut("skywave link", mtu: 18, number: 0x12)
        #expect(single + several == ["unit-single", "unit-several-0", "unit-several-1"].map { Self.examples[$0] })
        #expect(Self.examples.count == 3)
        var receiver = RCOPReceiver(RCOPReceiverConfiguration(framing: .delimited, application: .skywave))
        let units = receiver.units(of: single + several)
        #expect(units.map { String(buffer: $0.bytes) } == ["skywave", "skywave link"])
        #expect(units.map(\.number) == [0x11, 0x12])
    }
}
