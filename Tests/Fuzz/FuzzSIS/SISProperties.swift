import NIOCore
import STANAG5066

/// What must hold of the reader of SIS primitives for any input whatever.
///
/// Bit 0 of the first byte chooses who reads, bit 1 how short addresses are aligned; the rest is what comes on the connection.
enum SISProperties {
    /// - Returns: what does not hold, or nil.
    static func violation(in input: [UInt8]) -> String? {
        guard let kind = input.first else { return nil }
        let bytes = Array(input.dropFirst())
        let reader: SISPrimitive.Reader = kind & 1 == 0 ? .client : .node
        let alignment: NodeAddress.Alignment = kind & 2 == 0 ? .right : .left
        let whole = outcome(of: [bytes[...]], reader, alignment)
        let single = outcome(of: bytes.indices.map { bytes[$0...$0] }, reader, alignment)
        if whole != single { return "bytes that are read otherwise one by one" }
        var total = 0
        for event in whole.events {
            switch event {
            case .skipped(let error): if error.isFatal { return "a fatal error after which reading goes on" }
            case .primitive(let primitive):
                if let violation = violation(of: primitive, for: reader) { return violation }
                total += written(primitive).readableBytes
            }
        }
        if total > bytes.count { return "primitives that need more bytes than they came in" }
        return whole.failure.map { $0.isFatal ? nil : "reading ends with an error that is not fatal" } ?? nil
    }

    struct Outcome: Equatable {
        var events: [SISDecoder.Event] = []
        var failure: SISError?
    }

    static func outcome(
        of pieces: [ArraySlice<UInt8>], _ reader: SISPrimitive.Reader, _ alignment: NodeAddress.Alignment = .right
    ) -> Outcome {
        var decoder = SISDecoder(for: reader, alignment: alignment)
        var outcome = Outcome()
        for piece in pieces {
            decoder.read(ByteBuffer(bytes: piece))
            do throws(SISError) {
                while let event = try decoder.next() { outcome.events.append(event) }
            } catch { outcome.failure = error }
        }
        return outcome
    }

    /// What was read is written so that it is read the same again.
    private static func violation(of primitive: SISPrimitive, for reader: SISPrimitive.Reader) -> String? {
        if let only = primitive.reader, only != reader { return "a primitive for the other side" }
        let again = outcome(of: [Array(written(primitive).readableBytesView)[...]], reader)
        return again == Outcome(events: [.primitive(primitive)], failure: nil)
            ? nil : "a primitive that is read otherwise again"
    }

    private static func written(_ primitive: SISPrimitive) -> ByteBuffer {
        var buffer = ByteBuffer()
        primitive.encode(into: &buffer)
        return buffer
    }
}
