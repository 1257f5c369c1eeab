@testable import Blocks
import NIOCore
import Outbox
import TestSupport
import Testing
import XMPP

/// A peer that says what no honest one would: it may break its own link, and nothing else.
@Suite struct HostilePeerTests {
    private let now = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private func far() -> LinkSession {
        var session = LinkSession(LinkSessionConfiguration(), recovered: RecoveredPeer(), random: 5)
        session.connected(now: now)
        return session
    }

    private func near() -> SessionEnd {
        let end = SessionEnd(LinkSessionConfiguration(), seed: 1)
        end.session.connected(now: end.clock)
        end.collect()
        end.commit()
        return end
    }

    private func receive(_ block: ByteBuffer, _ end: SessionEnd) {
        end.receive(block)
    }

    private func refusal(_ refusal: SessionRefusal) -> ByteBuffer {
        var header = BlockHeader(session: 0, acknowledgedSession: 0, acknowledgedNormal: 0)
        header.opening = .refusal(refusal)
        var block = ByteBuffer()
        header.encode(into: &block)
        return block
    }

    private func opening(_ opening: SessionOpening) -> ByteBuffer {
        var header = BlockHeader(
            session: UInt8(truncatingIfNeeded: opening.session), acknowledgedSession: 0, acknowledgedNormal: 0)
        header.opening = .session(opening)
        header.body = BlockHeader.Body()
        header.body?.length = 1
        var block = ByteBuffer()
        header.encode(into: &block)
        block.writeInteger(UInt8(0))
        return block
    }

    @Test("peers d21: the last of all numbers is refused, and nothing overflows", arguments: Lane.allCases)
    func lastNumber(lane: Lane) throws {
        for number in [UInt64.max, UInt64.max - 1, UInt64(Int64.max) + 1] {
            let end = near()
            var far = far()
            receive(far.cut([], lane: .normal, firstNumber: 0, now: now), end)
            let message = try stanza("<message from='u@alpha.example' to='v@bravo.example' id='m'/>")
            var rest = far.cut([OutgoingStanza(stanza: message, ageSeconds: 0)], lane: lane, firstNumber: 1, now: now)
            var header = try #require(try BlockHeader(reading: &rest))
            header.body?.jump = number
            var block = ByteBuffer()
            header.encode(into: &block)
            block.writeBuffer(&rest)
            receive(block, end)
            #expect(end.delivered.isEmpty && end.notes.contains(.damagedBlock))
        }
    }

    @Test("peers d21: an opening whose numbers nobody can reach is malformed, and leaves no trace")
    func absurdOpenings() {
        let far = UInt64(Int64.max) + 1
        for change: (inout SessionOpening) -> Void in [
            { $0.session = 0 }, { $0.session = far }, { $0.session = .max }, 
            { $0.runs = [ProcessRun(process: 3, highest: [.max, 0])] }, { $0.runs = [ProcessRun(process: 3, highest: [0, far])] },
            { $0.runs = Array(repeating: ProcessRun(process: 3, highest: [0, 0]), count: 16) },
        ] {
            let end = near()
            var absurd = SessionOpening(epoch: 7, session: 1)
            change(&absurd)
            receive(opening(absurd), end)
            #expect(end.notes == [.damagedBlock])
            #expect(!end.isPeerRecognised)
            // A sane one is read all the same.
            receive(opening(SessionOpening(epoch: 7, session: 1)), end)
            #expect(end.isPeerRecognised)
        }
    }

    @Test("A peer cannot make us begin sessions and epochs without end")
    func endlessBeginnings() {
        let end = near()
        let first = end.session.sessionNumber
        for _ in 0..<100 {
            receive(refusal(.restored(epoch: end.session.epoch, session: end.session.sessionNumber, seen: 3)), end)
        }
        #expect(end.failures == [.unsettled])
        #expect(end.sessionNumber < first + 20)

        let other = near()
        let start = other.session.sessionNumber
        for number in 1...100 {
            var claim = SessionOpening(epoch: 7, session: UInt64(number))
            claim.peerEpoch = other.session.epoch
            claim.peerSession = other.session.sessionNumber
            receive(opening(claim), other)
        }
        #expect(other.failures == [.unsettled])
        #expect(other.sessionNumber < start + 20)
        // The next connection begins afresh.
        other.session.disconnected(now: other.clock)
        other.session.connected(now: other.clock)
        other.collect()
        receive(refusal(.restored(epoch: other.session.epoch, session: other.session.sessionNumber, seen: 3)), other)
        #expect(other.failures == [.unsettled])
        #expect(other.notes.contains(.selfRestored))
    }

    @Test("What the peer has of a stanza in parts says nothing about the next epoch")
    func partsOfAnotherEpoch() throws {
        let left = near()
        let right = near()
        let text = String(repeating: "abcdefghij", count: 500)
        left.queue[.normal] = [try stanza("<message from='u@alpha.example' to='v@bravo.example' id='m'><body>\(text)</body></message>")]
        receive(try #require(left.nextBlock(maximumStanzas: 8, partBytes: 2_000)), right)
        for end in [left, right] {
            end.session.disconnected(now: end.clock)
            end.session.connected(now: end.clock)
            end.collect()
            end.commit()
        }
        receive(try #require(right.nextBlock(maximumStanzas: 8, partBytes: 2_000)), left)
        receive(refusal(.restored(epoch: left.session.epoch, session: left.session.sessionNumber, seen: 9)), left)
        #expect(left.notes.contains(.selfRestored))
        while let block = left.nextBlock(maximumStanzas: 8, partBytes: 2_000) { receive(block, right) }
        #expect(right.delivered == ["m"])
        #expect(!right.notes.contains(.damagedBlock))
    }

    @Test("peers d10: a context without history never refers back, in whole stanzas and in parts")
    func contextWithoutHistory() throws {
        let end = near()
        var far = far()
        receive(far.cut([], lane: .normal, firstNumber: 0, now: now), end)
        let text = (0..<200).map { "\($0 &* 7_919)" }.joined(separator: " ")
        var sizes: [Int] = []
        for number in UInt64(1)...4 {
            let message = try stanza(
                "<message from='u@alpha.example' to='v@bravo.example' id='m\(number)'><body>\(text)</body></message>")
            let outgoing = OutgoingStanza(stanza: message, ageSeconds: 0)
            let context = LinkSession.contextWithoutHistory
            let block =
                number.isMultiple(of: 2)
                ? far.cut([outgoing], lane: .normal, firstNumber: number, context: context, now: now)
                : far.cutPart(of: outgoing, number: number, context: context, bytes: 100_000, now: now).block
            sizes.append(block.readableBytes)
            receive(block, end)
        }
        #expect(end.delivered == ["m1", "m2", "m3", "m4"])
        #expect(abs(sizes[0] - sizes[2]) <= 4 && abs(sizes[1] - sizes[3]) <= 4, "\(sizes)")
    }
}

/// `#expect` cannot look into a value that cannot be copied.
extension SessionEnd {
    fileprivate var isPeerRecognised: Bool { session.isPeerRecognised }
    fileprivate var sessionNumber: UInt64 { session.sessionNumber }
}
