import Blocks
import NIOCore
import XMPP

/// What tests of two joined ends of a link have in common.
protocol JoinedSessions {}

extension JoinedSessions {
    func joined(
        _ configuration: LinkSessionConfiguration = LinkSessionConfiguration()
    ) -> (left: SessionEnd, right: SessionEnd) {
        let ends = (SessionEnd(configuration, seed: 1), SessionEnd(configuration, seed: 2))
        connect(ends.0, ends.1)
        return ends
    }

    func connect(_ left: SessionEnd, _ right: SessionEnd) {
        for end in [left, right] {
            end.session.disconnected(now: end.clock)
            end.session.connected(now: end.clock)
            end.collect()
            end.commit()
        }
    }

    func send(_ ids: ClosedRange<Int>, from end: SessionEnd) throws {
        for number in ids {
            let text = "<message from='u@alpha.example' to='v@bravo.example' id='m\(number)'><body>hi \(number)</body></message>"
            end.queue[.normal, default: []].append(try stanza(text))
        }
    }

    /// Moves blocks both ways until neither end has one; returns their sizes.
    @discardableResult
    func settle(_ left: SessionEnd, _ right: SessionEnd, rounds: Int = 200) -> [Int] {
        var sizes: [Int] = []
        for _ in 0..<rounds {
            var moved = false
            for (from, to) in [(left, right), (right, left)] {
                from.clock = from.clock + .milliseconds(300)
                guard let block = from.nextBlock(maximumStanzas: 8, partBytes: 2_000) else { continue }
                sizes.append(block.readableBytes)
                to.receive(block)
                moved = true
            }
            if !moved { break }
        }
        return sizes
    }
}
