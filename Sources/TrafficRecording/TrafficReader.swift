package import NIOCore
package import XMPP

/// Reads a traffic file as it comes, in parts of any size.
///
/// Files are somebody else's input: all sizes are bounded by ``XMLLimits``, each stanza goes through the reader that
/// the project reads streams with, and what is wrong is told with its line and byte. A stanza must declare the
/// prefixes that it uses itself.
package struct TrafficReader {
    /// How a file ended.
    package enum Ending: Equatable, Sendable {
        /// With the end tag of its root.
        case complete
        /// Without: whoever wrote it was interrupted. The place is where the part begins that is not whole; all
        /// stanzas before it were given.
        case truncated(offset: Int, line: Int)
    }

    private enum State {
        case beforeRoot
        case inRoot
        case inEntry(time: TimeAmount, site: TrafficSite, isEmpty: Bool)
        case afterRoot
        case failed(TrafficError)
    }

    /// The prefix of the format's own elements, with its colon.
    private var prefix = ""
    private var state = State.beforeRoot
    private var scanner: MarkupScanner
    private let stanzas: StanzaReader
    /// Of the `at` element that was read last.
    private var entryPlace = MarkupScanner.Place()
    /// Whether the root says that texts, names and ids were replaced; known from the first stanza on.
    package private(set) var isRedacted = false

    package init(limits: XMLLimits = .local) {
        scanner = MarkupScanner(limits: limits)
        stanzas = StanzaReader(limits: limits)
    }

    /// Takes all readable bytes.
    package mutating func read(_ bytes: inout ByteBuffer) {
        scanner.append(&bytes)
    }

    /// The next stanza, or nil until more is read.
    package mutating func next() throws(TrafficError) -> RecordedStanza? {
        if case .failed(let error) = state { throw error }
        do throws(TrafficError) {
            while let piece = try scanner.next() {
                if let stanza = try take(piece) { return stanza }
            }
            return nil
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Says how the file ended, when all of it was read and ``next()`` gives nothing more.
    ///
    /// - Throws: where it holds no traffic document at all.
    package func finish() throws(TrafficError) -> Ending {
        switch state {
        case .failed(let error): throw error
        case .beforeRoot: throw scanner.unfinishedPlace.error("no traffic document: its root is missing")
        case .inRoot: return .truncated(offset: scanner.unfinishedPlace.offset, line: scanner.unfinishedPlace.line)
        case .inEntry: return .truncated(offset: entryPlace.offset, line: entryPlace.line)
        case .afterRoot:
            guard scanner.isBetweenPieces else { throw scanner.unfinishedPlace.error("more after the end of the root") }
            return .complete
        }
    }

    private mutating func take(_ piece: MarkupScanner.Piece) throws(TrafficError) -> RecordedStanza? {
        if piece.kind == .declaration { throw piece.place.error("a document type, which no traffic file has") }
        switch state {
        case .beforeRoot: try rootFound(piece)
        case .inRoot: try entryFound(piece)
        case .inEntry(let time, let site, let isEmpty): return try contentFound(piece, time, site, isEmpty)
        case .afterRoot: throw piece.place.error("more after the end of the root")
        case .failed(let error): throw error
        }
        return nil
    }

    private mutating func rootFound(_ piece: MarkupScanner.Piece) throws(TrafficError) {
        guard piece.kind == .startTag || piece.kind == .emptyTag, let tag = MarkupTag(piece.bytes) else {
            throw piece.place.error("no traffic document: its root is missing")
        }
        let colon = tag.name.firstIndex(of: ":")
        prefix = colon.map { String(tag.name[...$0]) } ?? ""
        let declaration = prefix.isEmpty ? "xmlns" : "xmlns:\(prefix.dropLast())"
        guard tag.name == prefix + TrafficFormat.root, tag[declaration] == TrafficFormat.namespace else {
            throw piece.place.error("no traffic document: its root is not traffic in \(TrafficFormat.namespace)")
        }
        guard tag["xmlns"] == XMLNamespace.server else {
            throw piece.place.error("the default namespace is not \(XMLNamespace.server)")
        }
        isRedacted = tag[TrafficFormat.redacted] == "yes"
        state = piece.kind == .emptyTag ? .afterRoot : .inRoot
    }

    private mutating func entryFound(_ piece: MarkupScanner.Piece) throws(TrafficError) {
        guard let tag = piece.kind == .text || piece.kind == .stanza ? nil : MarkupTag(piece.bytes) else {
            throw piece.place.error("something other than an \(TrafficFormat.entry) element")
        }
        switch piece.kind {
        case .endTag where tag.name == prefix + TrafficFormat.root:
            state = .afterRoot
        case .startTag where tag.name == prefix + TrafficFormat.entry:
            guard let time = tag[TrafficFormat.time].flatMap(Self.time) else {
                throw piece.place.error("\(TrafficFormat.time) is no time: seconds as a decimal number")
            }
            guard let site = tag[TrafficFormat.site].flatMap({ TrafficSite(rawValue: $0) }) else {
                throw piece.place.error("\(TrafficFormat.site) is neither a nor b")
            }
            entryPlace = piece.place
            state = .inEntry(time: time, site: site, isEmpty: true)
        default:
            throw piece.place.error("something other than an \(TrafficFormat.entry) element with a stanza")
        }
    }

    private mutating func contentFound(
        _ piece: MarkupScanner.Piece, _ time: TimeAmount, _ site: TrafficSite, _ isEmpty: Bool
    ) throws(TrafficError) -> RecordedStanza? {
        switch piece.kind {
        case .stanza where isEmpty:
            let source = ByteBuffer(bytes: piece.bytes)
            let stanza: Stanza
            do throws(StreamError) {
                stanza = try stanzas.read(source)
            } catch {
                throw piece.place.error(error.unreadableStanza)
            }
            state = .inEntry(time: time, site: site, isEmpty: false)
            return RecordedStanza(time: time, site: site, stanza: stanza, source: source)
        case .endTag where !isEmpty && MarkupTag(piece.bytes)?.name == prefix + TrafficFormat.entry:
            state = .inRoot
            return nil
        default:
            throw piece.place.error("an \(TrafficFormat.entry) element that does not hold exactly one stanza")
        }
    }

    /// Reads `12` or `12.345`; at most nine digits on either side of the point.
    private static func time(_ text: String) -> TimeAmount? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first,
            parts.allSatisfy({ (1...9).contains($0.utf8.count) && $0.utf8.allSatisfy(isDigit) }),
            let seconds = Int64(whole)
        else { return nil }
        let fraction = parts.count == 2 ? String(parts[1]) : "0"
        let padded = fraction + String(repeating: "0", count: 9 - fraction.utf8.count)
        return Int64(padded).map { .nanoseconds(seconds * 1_000_000_000 + $0) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

extension StreamError {
    /// Why a stanza of a file could not be read.
    fileprivate var unreadableStanza: String {
        "a stanza that cannot be read: \(condition.rawValue)" + (text.map { " (\($0))" } ?? "")
    }
}
