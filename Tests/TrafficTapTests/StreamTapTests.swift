import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing
import TrafficRecording
import TrafficTap
import XMPP

@Suite(.timeLimit(.minutes(2))) struct StreamTapTests {
    private static let header =
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
        + "xmlns:db='jabber:server:dialback' from='a.example' to='b.example' version='1.0' xml:lang='en'>"

    private static func message(_ from: String, _ body: String) -> String {
        "<message from=\"u@\(from)\" to='v@far.example'><body>\(body)</body></message>"
    }

    @Test func `bytes pass unchanged both ways, and stanzas are recorded in order of arrival`() async throws {
        try await TappedServer.with { site in
            let first = try await site.connect()
            let second = try await site.connect(way: 1)
            let openings = [Self.header, "<db:result from='a.example' to='b.example'>key</db:result>"]
            first.opener.send(openings.joined())
            second.opener.send(Self.header)
            first.server.send(Self.header)
            let parts = (0..<20).map { number -> (end: End, other: End, domain: String) in
                switch number % 3 {
                case 0: (first.opener, first.server, "a.example")
                case 1: (second.opener, second.server, "b.example")
                default: (first.server, first.opener, "muc.a.example")
                }
            }
            for (number, part) in parts.enumerated() {
                part.end.send(Self.message(part.domain, "number \(number)"))
                try await eventually("number \(number) passed") { part.other.text.contains("number \(number)<") }
            }
            #expect(first.server.text.hasPrefix(openings.joined() + "<message from=\"u@a.example\""))
            let summary = try await site.tap.stop()
            #expect(summary.counts.a == 13 && summary.counts.b == 7)
            #expect(summary.connections == 2 && summary.unreadable == 0)
            #expect(summary.ending == .asked)
            #expect(try site.file().utf8.count == summary.bytes)
            let recorded = try site.recorded()
            #expect(recorded.ending == .complete)
            #expect(
                recorded.entries.map { $0.stanza.root.firstChild("body", XMLNamespace.server)?.text }
                    == (0..<20).map { "number \($0)" })
            #expect(recorded.entries.map(\.site) == parts.map { $0.domain == "b.example" ? .b : .a })
            #expect(recorded.entries.allSatisfy { $0.stanza.language == "en" })
            #expect(site.notices.isEmpty)
        }
    }

    @Test func `the file is its owner's, grows with each stanza and is readable without its end`() async throws {
        try await TappedServer.with { site in
            var information = stat()
            #expect(unsafe stat(site.path, &information) == 0)
            #expect(information.st_mode & 0o7777 == 0o600)
            let (opener, server) = try await site.connect()
            opener.send(Self.header + Self.message("a.example", "one"))
            try await eventually("the stanza is in the file") { try site.recorded().entries.count == 1 }
            #expect(server.text.hasSuffix("</message>"))
            guard case .truncated = try site.recorded().ending else { return #expect(Bool(false), "not ended") }
        }
    }

    @Test func `a file that is there is only replaced when asked`() async throws {
        try await TappedServer.with { site in
            let before = try site.file()
            var configuration = TapConfiguration(ways: [], sites: SiteAssignment(a: []), path: site.path)
            await #expect(throws: TrafficFile.Failure.self) {
                _ = try await RunningTap.start(configuration, on: site.group.next()) { _ in }
            }
            #expect(try site.file() == before)
            try FileText.write(site.path, "precious")
            configuration.replaces = true
            let other = try await RunningTap.start(configuration, on: site.group.next()) { _ in }
            _ = try await other.stop()
            #expect(try site.recorded().ending == .complete)
        }
    }

    @Test func `where it cannot listen no file is left`() async throws {
        try await TappedServer.with { site in
            let port = try #require(site.tap.addresses[0].port)
            let way = TapConfiguration.Way(
                listenHost: "127.0.0.1", listenPort: port, upstreamHost: "127.0.0.1", upstreamPort: 1)
            let path = site.path + ".other"
            let configuration = TapConfiguration(ways: [way], sites: SiteAssignment(a: []), path: path)
            await #expect(throws: IOError.self) {
                _ = try await RunningTap.start(configuration, on: site.group.next()) { _ in }
            }
            #expect(unsafe access(path, F_OK) != 0)
        }
    }

    @Test func `a stream that turns to TLS passes, and is told once`() async throws {
        try await TappedServer.with { site in
            for number in 0..<2 {
                let (opener, server) = try await site.connect()
                opener.send(Self.header + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                try await eventually("it is asked for") { server.text.contains("starttls") }
                server.send(Self.header + "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
                try await eventually("it is granted") { opener.text.contains("proceed") }
                opener.send("\u{16}\u{3}\u{1} hello \(number)" + Self.message("a.example", "not in the clear"))
                server.send("\u{16}\u{3}\u{3} hello \(number)")
                try await eventually("both hellos passed") {
                    server.text.hasSuffix("</message>") && opener.text.hasSuffix("hello \(number)")
                }
            }
            let summary = try await site.tap.stop()
            #expect(site.notices == [.notReadable(.tls)])
            #expect(site.notices.first?.description.contains("s2s_require_encryption = false") == true)
            #expect(summary.unreadable == 2 && summary.counts.recorded == 0)
        }
    }

    @Test func `what cannot be read passes all the same`() async throws {
        try await TappedServer.with { site in
            let (opener, server) = try await site.connect()
            let rubbish = Self.header + "<message></presence>" + String(repeating: "\u{0}<&>", count: 50_000)
            opener.send(rubbish)
            try await eventually("all of it passed") { server.byteCount == rubbish.utf8.count }
            #expect(server.text == rubbish)
            server.send(Self.header + Self.message("b.example", "the other direction"))
            try await eventually("the other direction is recorded") { try site.recorded().entries.count == 1 }
            #expect(site.notices == [.brokenStream(condition: "not-well-formed")])
        }
    }

    @Test func `a slow reader slows the sender down, and loses nothing`() async throws {
        try await TappedServer.with { site in
            let (opener, server) = try await site.connect()
            let channel = try #require(server.channel)
            try await channel.setOption(.autoRead, value: false).get()
            let stanza = Self.message("a.example", String(repeating: "text ", count: 20_000))
            opener.send(Self.header)
            let count = 300
            let sender = try #require(opener.channel)
            let last = sender.eventLoop.makePromise(of: Void.self)
            for number in 1...count {
                sender.writeAndFlush(ByteBuffer(string: stanza), promise: number == count ? last : nil)
            }
            // Thirty megabytes are more than sockets hold, so the tap must have stopped reading.
            try await eventually("the sender is held up") { !sender.isWritable }
            try await channel.setOption(.autoRead, value: true).get()
            channel.read()
            try await last.futureResult.get()
            try await eventually("all arrives") {
                server.byteCount == Self.header.utf8.count + count * stanza.utf8.count
            }
            #expect(try await site.tap.stop().counts.a == count)
        }
    }

    @Test func `the end of a direction, of a connection and a reset pass on`() async throws {
        try await TappedServer.with { site in
            let half = try await site.connect()
            half.opener.send("last words")
            try await half.opener.channel?.close(mode: .output).get()
            try await eventually("the server sees the end of input") { half.server.inputIsClosed }
            #expect(half.server.text == "last words")
            half.server.send("an answer")
            try await eventually("the other direction is open") { half.opener.text == "an answer" }
            try await half.server.channel?.close().get()
            try await eventually("the opener sees the end") { half.opener.isClosed }

            let reset = try await site.connect()
            let socket = try #require(reset.server.channel as? any SocketOptionProvider)
            try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
            try await reset.server.channel?.close().get()
            try await eventually("the opener is closed") { reset.opener.isClosed }
            #expect(reset.opener.error?.contains("reset") == true)
        }
    }

    @Test func `what was taken before the end is still given`() async throws {
        try await TappedServer.with { site in
            let (opener, server) = try await site.connect()
            let channel = try #require(server.channel)
            try await channel.setOption(.autoRead, value: false).get()
            opener.send(Self.header)
            let stanza = Self.message("a.example", String(repeating: "text ", count: 20_000))
            for _ in 0..<300 { opener.send(stanza) }
            // It has stopped reading, since the server takes nothing: what it read last waits in it.
            var before = 0
            try await eventually("the tap holds some of it") {
                let size = try site.fileSize()
                defer { before = size }
                return size == before && size > stanza.utf8.count && opener.channel?.isWritable == false
            }
            async let summary = site.tap.stop(within: .seconds(20))
            try await eventually("the file has its end") { try site.recorded().ending == .complete }
            try await channel.setOption(.autoRead, value: true).get()
            channel.read()
            try await eventually("the server sees the end") { server.inputIsClosed }
            let taken = try await summary.counts.a
            #expect(taken > 0)
            #expect(server.byteCount >= Self.header.utf8.count + taken * stanza.utf8.count)
            #expect((Self.header + String(repeating: stanza, count: taken + 1)).hasPrefix(server.text))
        }
    }

    @Test func `an end that takes nothing does not hold up the end of all`() async throws {
        try await TappedServer.with { site in
            let (opener, server) = try await site.connect()
            try await server.channel?.setOption(.autoRead, value: false).get()
            for _ in 0..<300 { opener.send(String(repeating: "x", count: 100_000)) }
            try await eventually("the sender is held up") { opener.channel?.isWritable == false }
            #expect(try await site.tap.stop(within: .milliseconds(1)).connections == 1)
            try await eventually("the opener sees the end") { opener.isClosed || opener.inputIsClosed }
        }
    }

    @Test func `without an upstream connections are closed and it is told once`() async throws {
        try await TappedServer.with({ $0.ways[0].upstreamPort = 1 }) { site in
            for _ in 0..<3 {
                let end = End()
                _ = try await ClientBootstrap(group: site.group)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(end) }
                    }
                    .connect(to: site.tap.addresses[0]).get()
                try await eventually("the connection is closed") { end.isClosed }
            }
            #expect(site.notices == [.noUpstream("127.0.0.1:1", reason: "Connection refused")])
        }
    }

    @Test func `at its greatest size the file ends and streams pass on`() async throws {
        try await TappedServer.with({ $0.maximumBytes = 2_000 }) { site in
            let (opener, server) = try await site.connect()
            opener.send(Self.header)
            for number in 0..<50 { opener.send(Self.message("a.example", "number \(number)")) }
            try await eventually("all passed") { server.text.contains("number 49<") }
            try await eventually("the end is told") { site.notices == [.recordingEnded(.size)] }
            #expect(try site.file().utf8.count <= 2_000)
            let recorded = try site.recorded()
            #expect(recorded.ending == .complete)
            #expect((1..<50).contains(recorded.entries.count))
            let summary = try await site.tap.stop()
            #expect(summary.ending == .size && summary.counts.recorded == recorded.entries.count)
        }
    }

    @Test func `when its time is up the file ends and streams pass on`() async throws {
        try await TappedServer.with({ $0.duration = .milliseconds(1) }) { site in
            try await eventually("the end is told") { site.notices == [.recordingEnded(.time)] }
            let (opener, server) = try await site.connect()
            opener.send(Self.header + Self.message("a.example", "late"))
            try await eventually("it passed") { server.text.contains("late") }
            #expect(try site.recorded().ending == .complete)
            #expect(try await site.tap.stop().counts.recorded == 0)
        }
    }

    @Test func `a full disk ends the recording, keeps what is there, and streams pass on`() async throws {
        try await TappedServer.with { site in
            let (opener, server) = try await site.connect()
            opener.send(Self.header + Self.message("a.example", "first"))
            try await eventually("the first is in the file") { try site.recorded().entries.count == 1 }
            // From here on the file is the device that is always full.
            let descriptor = try #require(OpenFiles.descriptor(of: site.path))
            let full = unsafe open("/dev/full", O_WRONLY)
            #expect(dup2(full, descriptor) == descriptor)
            close(full)
            for number in 0..<40 { opener.send(Self.message("a.example", "number \(number)")) }
            try await eventually("all passed") { server.text.contains("number 39<") }
            try await eventually("the end is told") { !site.notices.isEmpty }
            #expect(
                site.notices == [.recordingEnded(.file(TrafficFile.Failure(description: "No space left on device")))])
            let recorded = try site.recorded()
            #expect(recorded.entries.count == 1)
            #expect(recorded.ending != .complete)
        }
    }

    @Test func `redacted recordings hold nothing of what passed`() async throws {
        try await TappedServer.with({ $0.redactionKey = (5, 6) }) { site in
            let (opener, server) = try await site.connect()
            opener.send(Self.header + Self.message("a.example", "secret words"))
            try await eventually("it passed unchanged") { server.text.contains("secret words") }
            _ = try await site.tap.stop()
            let text = try site.file()
            #expect(try site.recorded().entries.map(\.site) == [.a])
            for word in ["secret", "words", "a.example", "far."] { #expect(!text.contains(word)) }
        }
    }
}
