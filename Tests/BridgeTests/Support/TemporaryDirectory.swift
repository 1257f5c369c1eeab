import Bridge
import Glibc
import XMPP

/// A directory that is gone when the test is over.
enum TemporaryDirectory {
    struct Failure: Error {
        var path: String
    }

    static func with<Result>(_ body: (String) throws -> Result) throws -> Result {
        let path = try make()
        defer { remove(path) }
        return try body(path)
    }

    static func with<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let path = try make()
        defer { remove(path) }
        return try await body(path)
    }

    static func write(_ path: String, _ text: String, mode: mode_t = 0o600) throws {
        guard let file = unsafe fopen(path, "w") else { throw Failure(path: path) }
        unsafe fputs(text, file)
        unsafe fclose(file)
        unsafe chmod(path, mode)
    }

    static func make() throws -> String {
        var template = Array("/tmp/skywave-test-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw Failure(path: "mkdtemp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func remove(_ path: String) {
        guard let directory = unsafe opendir(path) else { return }
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            if unsafe unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
        }
        unsafe closedir(directory)
        unsafe rmdir(path)
    }
}

/// Real certificates for tests of files.
enum Certificates {
    /// Writes `NAME.crt` and `NAME.key` for each domain, and `ca.crt`, `ca.key`.
    static func write(_ domains: [String], to directory: String) throws {
        let store = try CertificateStore(directory: directory, authorityName: "Test authority")
        for pattern in domains.compactMap({ DomainPattern($0) }) {
            _ = try store.ensureLeaf(for: pattern, days: 30, renews: false)
        }
    }

    /// Also `link.crt` and `link.key`.
    static func writeLink(_ name: String, to directory: String) throws {
        let store = try CertificateStore(directory: directory, authorityName: "Test authority")
        if let domain = Domain(name) { _ = try store.ensureLink(named: domain, days: 30, renews: false) }
    }
}
