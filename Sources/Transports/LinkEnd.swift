package import Blocks
package import XMPP

/// Why a connection of a link ended, or did not come about.
package enum LinkEnd: Equatable, Sendable {
    /// The peer sent the closing tag.
    case closedByPeer
    /// The connection ended in between: no closing tag came before the end of the stream.
    case cut
    /// The end of a connection that carried blocks. The protocol has no farewell: nothing depends on one.
    case endedByPeer
    /// What came is no block, or one that is too large.
    case badBlock(BlockError)
    /// The versions of the link protocol differ; the peer's where it is known.
    case otherVersion(own: UInt8, peer: UInt8?)
    /// The bridge ended a link with blocks because the peer broke a rule. (XEP-0361 tells the peer: ``errorSent(_:)``.)
    case agreementBroken(StreamError)
    /// The peer's TCP refused to go on.
    case reset
    /// What was sent stayed unacknowledged for longer than `dead-after`.
    case silent
    /// The peer sent a stream error.
    case errorReceived(StreamError)
    /// The peer broke a rule and was told so by this stream error.
    case errorSent(StreamError)
    /// A newer connection from the same peer took its place.
    case replaced
    /// Closed from here.
    case closed
    /// Dialling took too long.
    case dialTimeout
    /// Any other reason: a plain sentence without a final stop.
    case failed(String)

    /// Why a link with blocks was ended by the bridge itself.
    init(ownVerdict error: StreamError) {
        self =
            switch error.condition {
            case .connectionTimeout: .silent
            case .unsupportedVersion: .otherVersion(own: BlockOpening.version, peer: nil)
            default: .agreementBroken(error)
            }
    }

    /// One plain sentence on what happened and what to do about it.
    package var sentence: String {
        switch self {
        case .closedByPeer: "The peer closed the link in good order."
        case .cut:
            "The connection ended without the closing tag: the peer was killed, refused us, or a device in between "
                + "dropped it. If this repeats, read the peer's log and compare addresses and certificates."
        case .endedByPeer:
            "The peer ended the connection: its bridge was stopped, restarted or refused us. If this repeats, read the "
                + "peer's log and compare addresses and certificates."
        case .badBlock(.tooLarge(let what)):
            "The peer announced \(what); make the block sizes of both sites agree."
        case .badBlock(let error):
            "What the peer sends is no block of the link protocol (\(Self.name(error))); compare the versions "
                + "and see that both peering agreements say dialect = \"skywave\"."
        case .otherVersion(let own, let peer):
            "This bridge speaks version \(own) of the link protocol and the peer "
                + (peer.map { "version \($0)" } ?? "another one")
                + "; install the same release of Skywave at both ends."
        case .agreementBroken(let error):
            "The peer broke a rule (\(error.condition.rawValue)\(Self.quoted(error.text))) and the link was ended; "
                + "compare versions and peering agreements of both sites."
        case .reset: "The peer's machine reset the connection; look whether the peer's bridge was restarted."
        case .silent:
            "Nothing of what was sent was acknowledged within dead-after; check the bearer, or raise dead-after if the "
                + "link is merely slow."
        case .errorReceived(let error):
            "The peer ended the link with the stream error \(error.condition.rawValue)\(Self.quoted(error.text)); "
                + Self.advice(error.condition)
        case .errorSent(let error):
            "The peer broke a rule and was told \(error.condition.rawValue)\(Self.quoted(error.text)); compare versions, "
                + "compression and the peering agreement at both ends."
        case .replaced: "A newer connection from the same peer took the place of this one."
        case .closed: "The link was closed from here."
        case .dialTimeout: "The peer did not answer in time; check that it runs, its address and port, and the bearer."
        case .failed(let reason): reason + "."
        }
    }

    private static func name(_ error: BlockError) -> String {
        switch error {
        case .malformed(let what), .tooLarge(let what): what
        case .unsupportedVersion(let version): "version \(version)"
        case .reservedFlag: "a flag that is reserved"
        case .damaged: "damaged text"
        }
    }

    private static func quoted(_ text: String?) -> String {
        // The text comes from the peer: cut, and without anything that could disturb a terminal or a log.
        guard let text, !text.isEmpty else { return "" }
        let shown = text.unicodeScalars.prefix(200).map { scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? " " : Character(scalar)
        }
        return " (“\(String(shown))”)"
    }

    private static func advice(_ condition: StreamErrorCondition) -> String {
        switch condition {
        case .conflict: "another process connects with our identity: make sure that only one bridge of this site runs."
        case .policyViolation, .notAuthorized, .invalidFrom, .improperAddressing, .hostUnknown, .hostGone:
            "compare the peering agreements of both sites."
        case .systemShutdown, .reset, .resourceConstraint, .connectionTimeout, .internalServerError,
            .remoteConnectionFailed, .seeOtherHost:
            "the peer is expected to come back."
        case .badFormat, .badNamespacePrefix, .invalidNamespace, .invalidXML, .notWellFormed, .restrictedXML,
            .undefinedCondition, .unsupportedEncoding, .unsupportedFeature, .unsupportedStanzaType,
            .unsupportedVersion:
            "compare versions and compression at both ends."
        }
    }
}
