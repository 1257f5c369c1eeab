/// What a profile does with one stanza, and which rule decided about each of its elements.
///
/// Made of the same decision as ``CompiledProfile/apply(_:direction:sender:)``. Holds names and sizes, nothing that
/// people wrote.
package struct Explanation: Equatable, Sendable {
    /// Who decided.
    package enum Rule: Equatable, Sendable {
        /// A line of a profile.
        case profile(RuleOrigin)
        /// A rule that no profile can break, and why it is there.
        case hard(String)
        /// Nobody said anything, so it stays as it is.
        case none
    }

    /// What became of an element.
    package enum Fate: String, Equatable, Sendable {
        case kept
        case removed
        /// Its text was cut.
        case cut
        /// It was not there before.
        case added
        /// The whole stanza does not cross.
        case unsent = "not sent"
    }

    /// One element and those in it.
    package struct Node: Equatable, Sendable {
        package var name: String
        package var namespace: String
        package var fate: Fate
        package var rule: Rule
        /// Bytes of the whole element before and after.
        package var bytesBefore: Int
        package var bytesAfter: Int
        package var children: [Node]
    }

    /// The profile's name.
    package var profile: String
    package var direction: ProfileDirection
    package var verdict: ProfileVerdict
    /// What decided about the stanza as a whole.
    package var rule: Rule
    /// The stanza itself.
    package var root: Node

    /// Canonical bytes as they came, and as they cross: 0 where nothing does.
    package var bytesBefore: Int { root.bytesBefore }
    package var bytesAfter: Int { root.bytesAfter }
}
