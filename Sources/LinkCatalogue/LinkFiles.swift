package import ConfigurationText
import Glibc

/// Where links lie: files `NAME.toml` in directories that are looked through in order.
package struct LinkFiles: Sendable {
    /// A link is written by hand; anything larger is the wrong file.
    private static let maximumBytes = 256 << 10

    package let directories: [String]

    /// - Parameter own: directories that are looked through before those of the installation.
    package init(own: [String] = []) {
        directories = own + Self.shipped
    }

    /// Where an installation has them, and where a build of the source tree finds its own.
    private static let shipped: [String] = {
        var directories = ["/etc/skywave/links", "/usr/local/share/skywave/links", "/usr/share/skywave/links"]
        guard let program = unsafe realpath("/proc/self/exe", nil) else { return directories }
        defer { unsafe free(program) }
        // <tree>/.build/<triple>/<configuration>/skywave-sim
        var parts = unsafe String(cString: program).split(separator: "/")
        if let build = parts.lastIndex(of: ".build") {
            parts.removeSubrange(build...)
            directories.append("/" + parts.joined(separator: "/") + "/sim/links")
        }
        return directories
    }()

    /// The link of this name, or in the file of this path: a text with a slash or with `.toml` at its end is a path.
    ///
    /// - Throws: every problem of the file, or that there is none.
    package func link(_ nameOrPath: String) throws(ConfigurationProblems) -> RadioLink {
        if nameOrPath.contains("/") || nameOrPath.hasSuffix(".toml") {
            return try RadioLink(reading: text(of: nameOrPath), file: nameOrPath, expectedName: nil)
        }
        guard Self.isName(nameOrPath) else { throw missing(nameOrPath) }
        for directory in directories {
            let file = "\(directory)/\(nameOrPath).toml"
            guard unsafe access(file, F_OK) == 0 else { continue }
            return try RadioLink(reading: text(of: file), file: file, expectedName: nameOrPath)
        }
        throw missing(nameOrPath)
    }

    /// The names of all links there are, in order.
    package var names: [String] {
        var names: Set<String> = []
        for directory in directories {
            guard let stream = unsafe opendir(directory) else { continue }
            defer { unsafe closedir(stream) }
            while let entry = unsafe readdir(stream) {
                let file = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                    unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
                }
                guard file.hasSuffix(".toml") else { continue }
                let name = String(file.dropLast(5))
                if Self.isName(name) { names.insert(name) }
            }
        }
        return names.sorted()
    }

    /// 1 to 64 letters, digits, `-`, `_`, `.`, and no dot first: a name becomes part of a path.
    package static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
    }

    private func missing(_ name: String) -> ConfigurationProblems {
        let known = names
        let meant = Spelling.suggestion(for: name, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
        return problem(
            "links", "there is no link \"\(name)\"\(meant)",
            allowed: known.isEmpty ? "the path of a file" : "a path, or one of \(known.joined(separator: ", "))")
    }

    private func problem(_ file: String, _ message: String, allowed: String? = nil) -> ConfigurationProblems {
        ConfigurationProblems([
            ConfigurationProblem(file: file, line: 1, key: "", value: nil, message: message, allowed: allowed)
        ])
    }

    private func text(of path: String) throws(ConfigurationProblems) -> String {
        guard !path.utf8.contains(0) else { throw problem("links", "not a path") }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw problem(path, unsafe String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
            throw problem(path, "not a file")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count <= Self.maximumBytes {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw problem(path, unsafe String(cString: strerror(errno))) }
            guard count > 0 else {
                guard let text = String(validating: bytes, as: UTF8.self) else { throw problem(path, "not UTF-8") }
                return text
            }
            bytes += chunk[..<count]
        }
        throw problem(path, "larger than \(Self.maximumBytes) bytes")
    }
}
