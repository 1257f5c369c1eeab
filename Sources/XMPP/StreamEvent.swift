/// What a ``StreamReader`` found.
package enum StreamEvent: Equatable, Sendable {
    /// The opening tag of the stream; never reported on a stream whose root is implicit.
    indirect case opened(StreamHeader)
    /// A child of the root, complete, in canonical form.
    case stanza(Stanza)
    /// A stanza over the limit. It was skipped; the payload is its own start tag as an empty stanza, enough to bounce
    /// it, and `limit` the greatest size in bytes that is taken.
    case oversize(Stanza, limit: Int)
    /// The closing tag of the stream. Nothing follows.
    case closed
    /// The input broke a rule; the error is the one to send. Nothing follows.
    indirect case failed(StreamError)
}
