/// One entry of the vocabulary: a short name and the elements that it stands for.
///
/// No element belongs to two entries. Source: the element tables of the XEPs that each entry names.
package struct Payload: Sendable {
    /// How profiles write it.
    package let name: String
    /// Namespace and local name of each element.
    package let elements: [(namespace: String, local: String)]
    /// Nodes of PEP events: the element is then an `event` of XEP-0060 with items of one of these nodes.
    package let nodes: [String]
    package let places: PayloadPlaces
    /// In messages and IQs.
    package let role: PayloadRole
    /// In presence.
    package let presenceRole: PayloadRole
    /// What it is, as the end of “this link carries no …”.
    package let title: String
    /// The standard that defines it.
    package let source: String

    init(
        _ name: String, _ elements: [(String, String)] = [], nodes: [String] = [], in places: PayloadPlaces,
        _ role: PayloadRole, presence: PayloadRole? = nil, _ title: String, _ source: String
    ) {
        self.name = name
        self.elements = elements.map { (namespace: $0.0, local: $0.1) }
        self.nodes = nodes
        self.places = places
        self.role = role
        self.presenceRole = presence ?? role
        self.title = title
        self.source = source
    }

    /// Elements of one namespace.
    static func all(_ namespace: String, _ locals: String...) -> [(String, String)] { locals.map { (namespace, $0) } }
}
