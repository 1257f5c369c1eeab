import Foundation
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import TLS

@Suite("TLS: ends, damage and garbage")
struct ConnectionEndTests {
    let ends: TestEnds

    init() throws {
        self.ends = try TestEnds()
    }

    private func wire() throws -> Wire {
        try Wire(client: self.ends.client(), server: self.ends.server())
    }

    private func establishedWire() throws -> Wire {
        let wire = try self.wire()
        try wire.run()
        #expect(wire.client.recorder.established.count == 1 && wire.server.recorder.established.count == 1)
        return wire
    }

    @Test("close says close_notify after everything that was written, and the other end closes without an error")
    func closeNotify() throws {
        let wire = try self.establishedWire()
        wire.client.send("</stream:stream>")
        let closed = wire.client.channel.close()
        try wire.outcome(of: closed)
        #expect(!wire.client.channel.isActive)
        try wire.run()
        #expect(wire.server.recorder.text == "</stream:stream>")
        #expect(wire.server.recorder.errors.isEmpty)
        #expect(!wire.server.channel.isActive)
        #expect(wire.server.recorder.inactive == 1)
        wire.server.loseConnection()
        #expect(wire.server.recorder.errors.isEmpty)
    }

    @Test("after close_notify an end that may half-close goes on writing")
    func halfClosed() throws {
        let wire = try self.establishedWire()
        wire.server.channel.allowRemoteHalfClosure = true
        _ = wire.client.channel.close()
        let notice = try wire.takeFlight(from: wire.client)
        try wire.server.channel.writeInbound(notice)
        #expect(wire.server.recorder.inputClosed == 1)
        #expect(wire.server.channel.isActive)
        try wire.outcome(of: wire.server.send("<late/>"))
        #expect(try wire.takeFlight(from: wire.server).readableBytes > 7)
        // Bytes behind the notice are nothing that TLS may deliver, and the end of TCP is no second end.
        try wire.server.channel.writeInbound(ByteBuffer(string: "garbage"))
        wire.server.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(wire.server.recorder.inputClosed == 1)
        #expect(wire.server.recorder.text == "")
        #expect(wire.server.recorder.errors.isEmpty)
    }

    @Test("an end without close_notify is reported as truncation, by a reset and by a half close alike")
    func truncation() throws {
        let reset = try self.establishedWire()
        reset.client.send("<message>cut")
        try reset.run()
        reset.server.loseConnection()
        #expect(reset.server.recorder.text == "<message>cut")
        #expect(reset.server.recorder.error?.code == .truncated)
        #expect(reset.server.recorder.inactive == 1)

        let halfClosed = try self.establishedWire()
        halfClosed.client.channel.allowRemoteHalfClosure = true
        halfClosed.client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(halfClosed.client.recorder.error?.code == .truncated)
        #expect(halfClosed.client.recorder.error?.message.contains("hq.example cut the connection") == true)
        #expect(halfClosed.client.recorder.inputClosed == 1)
    }

    @Test("a connection that ends in the middle of the handshake fails what waits")
    func endDuringHandshake() throws {
        let wire = try self.wire()
        let write = wire.client.send("<message/>")
        try wire.carry(from: wire.client, to: wire.server)
        wire.client.loseConnection()
        #expect(wire.client.recorder.error?.code == .truncated)
        #expect(throws: TLSError.self) { try wire.outcome(of: write) }
        #expect(throws: TLSError.self) { try wire.outcome(of: wire.client.send("more")) }
    }

    @Test("close before the handshake is done sends nothing and fails what waits")
    func closeDuringHandshake() throws {
        let wire = try self.wire()
        let write = wire.client.send("<message/>")
        _ = try wire.takeFlight(from: wire.client)
        try wire.outcome(of: wire.client.channel.close())
        #expect(try wire.takeFlight(from: wire.client).readableBytes == 0)
        #expect(throws: ChannelError.self) { try wire.outcome(of: write) }
        #expect(wire.client.recorder.errors.isEmpty)
    }

    @Test(
        "garbage instead of TLS is named as such and never delivered",
        arguments: [
            "GET / HTTP/1.1\r\nHost: hq.example\r\n\r\n", "<?xml version='1.0'?><stream:stream to='hq.example'>",
            "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "SSH-2.0-OpenSSH_9.2\r\n", "CONNECT hq.example:443 HTTP/1.1\r\n\r\n",
        ])
    func garbage(_ text: String) throws {
        for pieces in [1, 1000] {
            for isServer in [true, false] {
                let wire = try self.wire()
                let end = isServer ? wire.server : wire.client
                var bytes = ByteBuffer(string: text)
                while let piece = bytes.readSlice(length: min(pieces, bytes.readableBytes)), piece.readableBytes > 0 {
                    guard end.channel.isActive else { break }
                    try end.channel.writeInbound(piece)
                }
                #expect(end.recorder.error?.code == .notTLS, "\(end.recorder.errors)")
                #expect(end.recorder.errors.count == 1)
                #expect(end.recorder.text == "" && end.recorder.established.isEmpty)
                #expect(!end.channel.isActive)
            }
        }
    }

    @Test("one damaged bit anywhere never delivers anything wrong and never hangs in an endless loop")
    func damage() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let wire = try self.wire()
            wire.client.send("<from-client/>")
            wire.server.send("<from-server/>")
            var remaining = Int.random(in: 0..<2400, using: &generator)
            var isSilent = false
            while !isSilent {
                isSilent = true
                for (sender, receiver) in [(wire.client, wire.server), (wire.server, wire.client)] {
                    var flight = try wire.takeFlight(from: sender)
                    guard flight.readableBytes > 0, receiver.channel.isActive else { continue }
                    isSilent = false
                    if (0..<flight.readableBytes).contains(remaining) {
                        let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                        let byte = try #require(flight.getInteger(at: remaining, as: UInt8.self))
                        flight.setInteger(byte ^ bit, at: remaining)
                    }
                    remaining -= flight.readableBytes
                    try receiver.channel.writeInbound(flight)
                }
            }
            let (fromClient, fromServer) = (wire.server.recorder.text, wire.client.recorder.text)
            #expect(["", "<from-client/>"].contains(fromClient), "seed \(seed)")
            #expect(["", "<from-server/>"].contains(fromServer), "seed \(seed)")
        }
    }

    @Test("a damaged record after the handshake ends the connection with a sentence")
    func damagedRecord() throws {
        let wire = try self.establishedWire()
        wire.client.send("<message/>")
        var flight = try wire.takeFlight(from: wire.client)
        let byte = try #require(flight.getInteger(at: 10, as: UInt8.self))
        flight.setInteger(byte ^ 1, at: 10)
        try wire.server.channel.writeInbound(flight)
        #expect(wire.server.recorder.error?.message == "a TLS record from the peer was damaged or forged on its way")
        #expect(wire.server.recorder.text == "")
        #expect(!wire.server.channel.isActive)
        try wire.carry(from: wire.server, to: wire.client)
        #expect(wire.client.recorder.error?.code == .protocolFailure)
    }

    @Test("a repeated record is refused")
    func replay() throws {
        let wire = try self.establishedWire()
        wire.client.send("<message/>")
        let flight = try wire.takeFlight(from: wire.client)
        try wire.server.channel.writeInbound(flight)
        try wire.server.channel.writeInbound(flight)
        #expect(wire.server.recorder.text == "<message/>")
        #expect(wire.server.recorder.error?.code == .protocolFailure)
    }

    @Test("an endless or oversized handshake is cut off after a bounded number of bytes")
    func oversizedHandshake() throws {
        // A client hello that announces 16 MiB, in full records.
        let wire = try self.wire()
        var record = ByteBuffer(bytes: [0x16, 3, 1, 0x40, 0])
        record.writeBytes([1, 0xff, 0xff, 0xff])
        record.writeRepeatingByte(0, count: 16_384 - 4)
        var fed = 0
        while wire.server.channel.isActive, fed < 10_000_000 {
            try wire.server.channel.writeInbound(record)
            fed += record.readableBytes
            record = ByteBuffer(bytes: [0x16, 3, 3, 0x40, 0] + [UInt8](repeating: 0, count: 16_384))
        }
        #expect(fed < 200_000)
        #expect(wire.server.recorder.error != nil)

        // Alerts of level warning, one after the other.
        let warned = try self.wire()
        fed = 0
        while warned.server.channel.isActive, fed < 10_000_000 {
            try warned.server.channel.writeInbound(ByteBuffer(bytes: [0x15, 3, 1, 0, 2, 1, 90]))
            fed += 7
        }
        #expect(fed < 200_000)
    }
}
