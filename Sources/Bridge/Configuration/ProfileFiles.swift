package import ConfigurationText
import Glibc
package import Profiles

/// Where filter profiles lie: files `NAME.toml` in directories that are looked through in order.
package struct ProfileFiles: Sendable {
    /// A profile is written by hand; anything larger is the wrong file.
    private static let maximumBytes = 256 << 10

    package let directories: [String]

    /// - Parameter own: directories of the operator's, looked through first.
    package init(own: [String]) {
        directories = own + Self.shipped
    }

    /// Where an installation has them, and where a build of the source tree finds its own.
    private static let shipped: [String] = {
        var directories = ["/etc/skywave/profiles", "/usr/local/share/skywave/profiles", "/usr/share/skywave/profiles"]
        guard let program = unsafe realpath("/proc/self/exe", nil) else { return directories }
        defer { unsafe free(program) }
        // <tree>/.build/<triple>/<configuration>/skywave
        var parts = unsafe String(cString: program).split(separator: "/")
        if let build = parts.lastIndex(of: ".build") {
            parts.removeSubrange(build...)
            directories.append("/" + parts.joined(separator: "/") + "/profiles")
        }
        return directories
    }()

    /// The profile of this name with all that it inherits.
    ///
    /// - Throws: every problem of every file concerned.
    package func profile(named name: String) throws(ConfigurationProblems) -> Profile {
        try ProfileLibrary { name throws(ConfigurationProblems) in try source(named: name) }.profile(named: name)
    }

    /// The text of a profile; nil where no directory has a file of this name.
    ///
    /// - Throws: when the first such file cannot be read. None of a later directory takes its place: whoever wrote a
    ///   profile of his own under the name of a shipped one would not notice.
    package func source(named name: String) throws(ConfigurationProblems) -> ProfileLibrary.Source? {
        guard ProfileLibrary.isName(name) else { return nil }
        for directory in directories {
            let file = "\(directory)/\(name).toml"
            do throws(Files.Failure) {
                return ProfileLibrary.Source(file: file, text: try Files.readText(file, limit: Self.maximumBytes))
            } catch where error == .system(ENOENT) || error == .system(ENOTDIR) {
                continue
            } catch {
                throw ConfigurationProblems([
                    ConfigurationProblem(
                        file: file, line: 1, key: "", value: nil, message: "cannot be read: \(error)", allowed: nil)
                ])
            }
        }
        return nil
    }

    /// The names of all profiles there are, in order.
    package var names: [String] {
        var names: Set<String> = []
        for directory in directories {
            for file in Files.names(in: directory) where file.hasSuffix(".toml") {
                let name = String(file.dropLast(5))
                if ProfileLibrary.isName(name) { names.insert(name) }
            }
        }
        return names.sorted()
    }
}
