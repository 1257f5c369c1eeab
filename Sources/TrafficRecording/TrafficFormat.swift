/// The words of a traffic file.
///
/// A file is one XML document. Its root is `traffic` in ``namespace``, with `jabber:server` as the default namespace,
/// and holds one `at` element per stanza in order of arrival. `at` has the attributes `t`, seconds since the first
/// stanza as a decimal number, and `from`, the site that sent the stanza: `a` or `b`. The stanza is its only content.
/// A root with `redacted="yes"` says that texts, names and ids were replaced.
enum TrafficFormat {
    static let namespace = "urn:x-traffic:0"
    static let root = "traffic"
    static let entry = "at"
    static let time = "t"
    static let site = "from"
    static let redacted = "redacted"
}
