/// The `version` attribute of a stream header (RFC 6120 §4.7.5).
struct StreamVersion: Equatable {
    let major: Int
    let minor: Int

    /// No attribute means the time before features: 0.9.
    static let absent = StreamVersion(major: 0, minor: 9)

    var hasFeatures: Bool { self.major >= 1 }

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// `nil` where the text is not two numbers with a dot between them.
    init?(_ text: String?) {
        guard let text else {
            self = .absent
            return
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...4).contains($0.utf8.count) }),
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major: major, minor: minor)
    }
}
