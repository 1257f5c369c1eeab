import XMPP

/// A place in a stanza where an id stands.
struct IdentifierPosition: Equatable {
    enum Kind: UInt8 {
        /// The stanza's own `id` attribute.
        case stanza
        /// An origin-id (XEP-0359 §3.2) of the stanza itself.
        case origin
        /// A thread (RFC 6121 §5.2.5) of the stanza itself.
        case thread
        /// The id that a room gave to the groupchat message (XEP-0359 §3.1): its `by` is the bare `from`.
        case archive
        /// Names a message that the recipient sent: receipts, markers.
        case acknowledgement
        /// Names a message of either side; also everything inside a forwarded message.
        case reference
    }

    var kind: Kind
    var range: Range<Int>
}

/// Finds the ids in a stanza.
///
/// Only elements that are known are looked at, and only where they belong: as children of the stanza, and inside the
/// few elements that are known to carry a message or an id. So nothing inside an encrypted payload, a label or an
/// unknown element is ever taken for an id. A stanza that is signed, or bound to a label by a signature, has no ids:
/// whatever the signature covers must arrive as it was.
struct IdentifierScan {
    /// More ids than any client puts into one stanza; what a hostile one adds stays as it is.
    static let maximumPositions = 32

    private enum Role: UInt8 {
        case none, origin, thread, acknowledgement, reference
        /// Looked into.
        case container
        /// Has an `id` and is looked into.
        case holder
        /// Its text is an id.
        case text
        case stanzaID
        case signature
    }

    /// By ``ElementName/code``.
    private let roles: [Role]
    /// What ``scan(_:)`` found, in order of place.
    private(set) var positions: [IdentifierPosition] = []

    init() {
        let known: [(ElementName, Role)] = [
            (.originID, .origin), (.thread, .thread),
            (.receiptReceived, .acknowledgement), (.markerDisplayed, .acknowledgement),
            (.markerReceived, .acknowledgement), (.markerAcknowledged, .acknowledgement),
            (.stanzaID, .stanzaID), (.referencedStanza, .reference),
            (.replace, .reference), (.reactions, .reference), (.reply, .reference), (.retract, .reference),
            (.moderate, .reference), (.attachTo, .reference), (.applyTo, .holder), (.retracted, .holder),
            (.forwarded, .container), (.archiveResult, .holder),
            (.xmlSignature, .signature), (.metadataBinding, .signature)
        ]
        var roles = [Role](repeating: .none, count: Int(known.map(\.0.code).max() ?? 0) + 1)
        for (name, role) in known {
            precondition(name != .unknown, "an element that holds ids is in the vocabulary")
            roles[Int(name.code)] = role
        }
        self.roles = roles
        self.positions.reserveCapacity(Self.maximumPositions)
    }

    /// - Returns: whether there are ids.
    mutating func scan(_ stanza: Stanza) -> Bool {
        self.positions.removeAll(keepingCapacity: true)
        if let range = stanza.idRange { self.positions.append(IdentifierPosition(kind: .stanza, range: range)) }
        /// The depth down to which every element around the next one is looked into.
        var reach = 1
        /// Where the children of the last forwarded message stand.
        var inside = 0
        /// Whether the last child of the stanza asks an archive or is its answer.
        var isOfArchive = false
        for index in 1..<max(stanza.elementCount, 1) {
            let code = Int(stanza.elementName(at: index).code)
            var role = code < self.roles.count ? self.roles[code] : .none
            if role == .signature {
                self.positions.removeAll(keepingCapacity: true)
                return false
            }
            let depth = stanza.elementDepth(at: index)
            guard depth <= reach else { continue }
            if stanza.kind == .iq {
                if depth == 1 { isOfArchive = ArchivePayload.isOne(stanza, index) }
                if isOfArchive { role = ArchivePayload.role(stanza, index, depth) }
            }
            if role == .none, depth > 1 { role = Self.forwardedRole(stanza, index, depth, &inside) }
            reach = role == .container || role == .holder ? depth + 1 : depth
            switch role {
            case .none, .container, .signature: break
            case .origin: self.add(depth == 1 ? .origin : .reference, stanza.attributeRange("id", ofElement: index))
            case .thread:
                self.add(.reference, stanza.attributeRange("parent", ofElement: index))
                self.add(depth == 1 ? .thread : .reference, stanza.textRange(ofElement: index))
            case .acknowledgement:
                self.add(depth == 1 ? .acknowledgement : .reference, stanza.attributeRange("id", ofElement: index))
            case .stanzaID:
                let isOfRoom = depth == 1 && Self.isOfRoom(stanza, index)
                self.add(isOfRoom ? .archive : .reference, stanza.attributeRange("id", ofElement: index))
            case .reference, .holder: self.add(.reference, stanza.attributeRange("id", ofElement: index))
            case .text: self.add(.reference, stanza.textRange(ofElement: index))
            }
        }
        return !self.positions.isEmpty
    }

    private static func isOfRoom(_ stanza: Stanza, _ index: Int) -> Bool {
        guard stanza.kind == .message, stanza.type == .groupchat,
            let by = stanza.attributeRange("by", ofElement: index)
        else { return false }
        return stanza.fromBareEquals(valueAt: by)
    }

    /// Names that only count inside what is forwarded, and have no number.
    private static func forwardedRole(_ stanza: Stanza, _ index: Int, _ depth: Int, _ inside: inout Int) -> Role {
        if stanza.element(at: index, isWritten: "message", declaring: "jabber:client")
            || stanza.element(at: index, isWritten: "message", declaring: "jabber:server")
        {
            inside = depth + 1
            return .holder
        }
        guard depth == inside else { return .none }
        if stanza.element(at: index, isWritten: "thread", declaring: nil) { return .thread }
        // A tombstone as XEP-0424 had it before version 0.4, with an origin-id in it.
        let isTombstone = stanza.element(at: index, isWritten: "retracted", declaring: "urn:xmpp:message-retract:0")
        return isTombstone ? .holder : .none
    }

    /// What names messages in IQs to and from archives (XEP-0313 §4 and §5, XEP-0059).
    private enum ArchivePayload {
        static func isOne(_ stanza: Stanza, _ index: Int) -> Bool {
            let name = stanza.elementName(at: index)
            return name == .archiveQuery || name == .archiveFin
                || stanza.element(at: index, isWritten: "metadata", declaring: "urn:xmpp:mam:2")
        }

        /// - Parameter index: such a payload, or something inside it; each is looked at where the one around it was.
        static func role(_ stanza: Stanza, _ index: Int, _ depth: Int) -> Role {
            func isWritten(_ name: StaticString) -> Bool { stanza.element(at: index, isWritten: name, declaring: nil) }
            switch depth {
            case 1: return .container
            case 2:
                if stanza.elementName(at: index) == .dataForm { return .container }
                if stanza.element(at: index, isWritten: "set", declaring: "http://jabber.org/protocol/rsm") {
                    return .container
                }
                return isWritten("start") || isWritten("end") ? .reference : .none
            case 3:
                if isWritten("field") { return self.isFieldOfIDs(stanza, index) ? .container : .none }
                return isWritten("after") || isWritten("before") || isWritten("first") || isWritten("last")
                    ? .text : .none
            case 4: return isWritten("value") ? .text : .none
            default: return .none
            }
        }

        private static func isFieldOfIDs(_ stanza: Stanza, _ index: Int) -> Bool {
            guard let range = stanza.attributeRange("var", ofElement: index) else { return false }
            return ["ids", "after-id", "before-id"].contains(stanza.text(in: range))
        }
    }

    private mutating func add(_ kind: IdentifierPosition.Kind, _ range: Range<Int>?) {
        guard let range, self.positions.count < Self.maximumPositions else { return }
        self.positions.append(IdentifierPosition(kind: kind, range: range))
    }
}
