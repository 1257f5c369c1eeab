import NIOCore
import XMPP

/// What must hold of the XML reader for any input whatever; shared by the fuzz entry and by the replay of what it
/// found.
package enum StreamReaderProperties {
    /// Checks all of them on one input. The first byte chooses root and limits, the second seeds the split; the rest
    /// is the stream.
    ///
    /// - Returns: what does not hold, or `nil`.
    package static func violation(in input: some Collection<UInt8>) -> String? {
        guard input.count >= 2 else { return nil }
        let bytes = Array(input)
        let isImplicit = bytes[0] & 1 == 1
        let isEarly = bytes[0] & 2 == 2
        let limits = isEarly ? XMLLimits.beforeAuthentication : .local
        let root = isImplicit ? StreamReader.Root.implicit(XMLNamespace.server) : .received
        let stream = bytes[2...]

        let whole = events(of: [stream], root, limits)
        var generator = SeededGenerator(seed: UInt64(bytes[1]))
        let split = events(of: generator.pieces(of: stream, largest: 40), root, limits)
        // Limits on the whole stream are checked per read, so that only there the split may show.
        if !isEarly {
            if !agree(whole, split) {
                return "the split changes what is read: \(describe(whole)) but \(describe(split))"
            }
            if stream.count < 4_096 {
                let bytewise = events(of: stream.indices.map { stream[$0...$0] }, root, limits)
                if !agree(whole, bytewise) {
                    return "byte by byte something else is read: \(describe(whole)) but \(describe(bytewise))"
                }
            }
        }
        return violation(in: whole, isImplicit: isImplicit) ?? violation(in: split, isImplicit: isImplicit)
    }

    /// Whether two readings are the same. Where the input breaks two rules at almost the same place, which of them
    /// the parser meets first depends on the split: that there is a failure counts, and where, but not its name.
    private static func agree(_ left: [StreamEvent], _ right: [StreamEvent]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).allSatisfy { left, right in
            if case .failed = left, case .failed = right { return true }
            return left == right
        }
    }

    private static func events(
        of pieces: [ArraySlice<UInt8>], _ root: StreamReader.Root, _ limits: XMLLimits
    ) -> [StreamEvent] {
        let reader = StreamReader(limits: limits, root: root)
        var events: [StreamEvent] = []
        for piece in pieces {
            var buffer = ByteBuffer(bytes: piece)
            reader.read(&buffer)
            if buffer.readableBytes > 0 {
                events.append(.failed(StreamError(.internalServerError, text: "bytes left")))
            }
            while let event = reader.nextEvent() { events.append(event) }
        }
        return events
    }

    private static func violation(in events: [StreamEvent], isImplicit: Bool) -> String? {
        var namespace = XMLNamespace.server
        for (index, event) in events.enumerated() {
            let isLast = index == events.count - 1
            switch event {
            case .opened(let header):
                if isImplicit || index > 0 { return "a header where none can be" }
                namespace = header.contentNamespace
            case .stanza(let stanza):
                if let violation = violation(in: stanza, namespace) { return violation }
            case .oversize(let stub, _):
                if stub.elementCount != 1 { return "a stub with content" }
                if let violation = violation(in: stub, namespace) { return violation }
            case .closed:
                if !isLast { return "something after the end" }
            case .failed(let error):
                if !isLast { return "something after a failure" }
                if error.text == "bytes left" { return "bytes are left unread" }
            }
        }
        return nil
    }

    /// Canonical form is a fixed point, and what a stanza says of itself agrees with its bytes.
    private static func violation(in stanza: Stanza, _ namespace: String) -> String? {
        var roomy = XMLLimits.local
        roomy.stanzaBytes *= 16
        roomy.skippedBytes *= 16
        roomy.tokenBytes *= 16
        let reader = StreamReader(limits: roomy, root: .implicit(namespace))
        var buffer = ByteBuffer()
        stanza.write(to: &buffer)
        if buffer.readableBytes != stanza.byteCount { return "the byte count is wrong: \(stanza.text)" }
        reader.read(&buffer)
        guard case .stanza(let again)? = reader.nextEvent(), reader.nextEvent() == nil else {
            return "canonical form is not one stanza: \(stanza.text)"
        }
        if again != stanza { return "canonical form is no fixed point: \(stanza.text) became \(again.text)" }
        if again.type != stanza.type || again.elementCount != stanza.elementCount || again.to != stanza.to
            || again.from != stanza.from || again.id != stanza.id || again.language != stanza.language
            || again.toDomainHash != stanza.toDomainHash || again.fromDomainHash != stanza.fromDomainHash
            || again.pairHash != stanza.pairHash
        {
            return "equal bytes, but something else is said of them: \(stanza.text)"
        }
        for (address, domain) in [(stanza.to, stanza.toDomain), (stanza.from, stanza.fromDomain)] {
            if address?.domain != domain { return "address and domain disagree: \(stanza.text)" }
            if let address, JID(address.description) != address { return "an address is no fixed point: \(address)" }
        }
        if let domain = stanza.toDomain, !stanza.toDomainEquals(domain) {
            return "not in its own domain: \(stanza.text)"
        }
        if let domain = stanza.fromDomain, !stanza.fromDomainEquals(domain) {
            return "not from its own domain: \(stanza.text)"
        }
        return violation(inIndexOf: stanza.root)
    }

    /// Walks the index: every element is where its parent says, and its parts can be asked for.
    private static func violation(inIndexOf element: Element) -> String? {
        if element.name.isEmpty { return "an element without a name: \(element.xml)" }
        _ = element.namespace
        _ = element.text
        for child in element.children {
            if !element.xml.contains(child.xml) { return "a child outside its parent: \(child.xml)" }
            if let violation = violation(inIndexOf: child) { return violation }
        }
        return nil
    }

    private static func describe(_ events: [StreamEvent]) -> String {
        events.map { event in
            switch event {
            case .opened(let header): "opened(\(header))"
            case .stanza(let stanza): "stanza(\(stanza.text))"
            case .oversize(let stub, let limit): "oversize(\(stub.text), \(limit))"
            case .closed: "closed"
            case .failed(let error): "failed(\(error))"
            }
        }.joined(separator: " ")
    }
}
