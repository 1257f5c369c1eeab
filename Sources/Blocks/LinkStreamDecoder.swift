package import NIOCore
package import XMPP

/// Reads the bytes of one connection of a XEP-0361 link: stanzas under an implicit root, perhaps compressed.
///
/// Make it only when the peer's identity is settled: before that nothing may be inflated or parsed. Compressed input is
/// inflated piece by piece, and only while ``nextEvent()`` finds no event to return, so that memory stays the same
/// whatever the input expands to. The caller draws events until there are none before it gives more bytes.
///
/// After `.failed` and `.closed` there are no more events, and all further bytes are ignored.
package final class LinkStreamDecoder {
    private let reader: StreamReader
    private let limits: InflateLimits
    private var inflater: Inflater?
    private var allowance: ExpansionAllowance
    /// Compressed bytes that were received and not inflated yet.
    private var compressed = ByteBuffer()
    /// Reused for every piece.
    private var piece = ByteBuffer()
    /// True when the last piece was full: output may wait inside zlib though all input is consumed.
    private var mayHoldOutput = false
    private var isOver = false
    private var failure: StreamError?
    private var receivedBytes: UInt64 = 0
    private var expandedBytes: UInt64 = 0

    /// Bytes received from the connection, and bytes that the XML reader got from them.
    package var byteCounts: (received: UInt64, expanded: UInt64) { (receivedBytes, expandedBytes) }

    package init(compression: Bool, limits: XMLLimits, inflateLimits: InflateLimits = .standard) {
        reader = StreamReader(limits: limits, root: .implicit(XMLNamespace.server))
        self.limits = inflateLimits
        inflater = compression ? Inflater() : nil
        allowance = ExpansionAllowance(limits: inflateLimits)
    }

    /// Takes all of `bytes`.
    package func read(_ bytes: inout ByteBuffer) {
        receivedBytes &+= UInt64(bytes.readableBytes)
        guard !isOver else {
            bytes.moveReaderIndex(to: bytes.writerIndex)
            return
        }
        if inflater == nil {
            expandedBytes &+= UInt64(bytes.readableBytes)
            reader.read(&bytes)
        } else if compressed.readableBytes == 0 {
            // The buffer is shared, not copied; what the caller does with its own afterwards does not matter.
            compressed = bytes
            bytes.moveReaderIndex(to: bytes.writerIndex)
        } else {
            compressed.discardReadBytes()
            compressed.writeBuffer(&bytes)
        }
    }

    /// The next event, or nil when more bytes are needed.
    package func nextEvent() -> StreamEvent? {
        guard !isOver else { return nil }
        while true {
            if let event = reader.nextEvent() {
                return passOn(event)
            }
            if let failure {
                return end(with: failure)
            }
            guard inflateOnePiece() else {
                // The caller's buffer is given back, not kept for its capacity.
                compressed = ByteBuffer()
                return failure.map { end(with: $0) }
            }
        }
    }

    private func passOn(_ event: StreamEvent) -> StreamEvent {
        switch event {
        case .closed, .failed: finish()
        case .opened, .stanza, .oversize: break
        }
        return event
    }

    private func end(with failure: StreamError) -> StreamEvent {
        finish()
        return .failed(failure)
    }

    private func finish() {
        isOver = true
        inflater = nil
        compressed = ByteBuffer()
        piece = ByteBuffer()
    }

    /// Feeds the reader with the next piece of output. False when there is none to be had from the input so far, or the
    /// stream has failed.
    private func inflateOnePiece() -> Bool {
        guard inflater != nil, compressed.readableBytes > 0 || mayHoldOutput else { return false }
        piece.clear()
        let before = compressed.readableBytes
        let produced: Int
        do throws(InflateError) {
            produced = try inflater?.inflate(&compressed, into: &piece, limit: limits.pieceBytes) ?? 0
        } catch {
            failure =
                switch error {
                case .damaged: StreamError(.undefinedCondition, text: "compressed data is damaged")
                case .outOfMemory: StreamError(.resourceConstraint, text: nil)
                }
            // What came out before the damage was sent by the peer: it counts.
            reader.read(&piece)
            return true
        }
        mayHoldOutput = produced == limits.pieceBytes
        expandedBytes &+= UInt64(produced)
        allowance.earn(compressedBytes: before - compressed.readableBytes)
        allowance.spend(expandedBytes: produced)
        guard !allowance.isOverdrawn else {
            failure = StreamError(.policyViolation, text: "compressed data expands too far")
            return true
        }
        if inflater?.isFinished == true {
            // The compressor ended its stream: only a closing tag may have come before.
            mayHoldOutput = false
            failure = StreamError(.undefinedCondition, text: "compressed data ended before the stream")
        }
        guard produced > 0 else { return failure != nil || 0 < compressed.readableBytes && compressed.readableBytes < before }
        reader.read(&piece)
        if reader.unfinishedStanzaBytes > limits.unfinishedStanzaBytes {
            failure = StreamError(.policyViolation, text: "stanza expands too far")
        }
        return true
    }
}
