import XMPP

/// How the end of an RCOP unit is found, which the standard leaves to the application (STANAG 5066 Ed. 3 §F.8.1 (8),
/// §F.8.3).
///
/// A short last segment is no sign of it: a unit may fill its last segment, and a node may have announced another MTU
/// to the other side.
package enum RCOPFraming: Equatable, Sendable {
    /// The unit says how long it is: see ``RCOPUnitPrefix``. For dialect `skywave`, one block in each unit.
    case delimited
    /// The unit is XML and ends with a segment that leaves no element open. For dialect `xep`: XEP-0365 0.2.1 §4.2
    /// makes one stanza one unit. The service must be in order, since a new unit is the only sign that the one before
    /// was cut off.
    ///
    /// - Parameter depth: the greatest nesting that is taken.
    case xml(depth: Int)

    package static let stanzas = RCOPFraming.xml(depth: XMLLimits.link.depth)
}
