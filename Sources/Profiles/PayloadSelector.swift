/// What one entry of a list in a profile names.
package enum PayloadSelector: Equatable, Sendable {
    /// A short name; with it the payloads that it stands for, by their place in ``PayloadVocabulary/all``.
    case short(String, payloads: [Int])
    /// `{ ns = "…", name = "…" }`; without a name every element of the namespace.
    case element(namespace: String, local: String?)

    /// As it is written.
    package var description: String {
        switch self {
        case .short(let name, _): name
        case .element(let namespace, let local?): "{ ns = \"\(namespace)\", name = \"\(local)\" }"
        case .element(let namespace, nil): "{ ns = \"\(namespace)\" }"
        }
    }

    /// As it is written in a file, for messages.
    var shown: String {
        switch self {
        case .short(let name, _): "\"\(name)\""
        case .element: description
        }
    }
}

/// The entries of a list, each with its place.
package typealias PayloadList = [Sourced<PayloadSelector>]
