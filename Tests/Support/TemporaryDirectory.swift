import Foundation

/// A directory that goes with its owner, and all that is in it.
package final class TemporaryDirectory: Sendable {
    package let path: String

    /// - Parameter inMemory: where there is such a place, for tests that make up themselves what a disk does.
    package init(inMemory: Bool = false) throws {
        let memory = "/dev/shm"
        let above =
            inMemory && FileManager.default.isWritableFile(atPath: memory)
            ? memory : FileManager.default.temporaryDirectory.path
        // Short, because a Unix socket in it must have a path of less than 108 bytes.
        path = "\(above)/skywave-\(String(UInt64.random(in: 0 ... .max), radix: 36))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    @discardableResult
    package func file(_ name: String, _ content: String) throws -> String {
        let file = "\(path)/\(name)"
        try Self.write(file, content)
        return file
    }

    package static func with<Result>(_ body: (String) throws -> Result) throws -> Result {
        let directory = try TemporaryDirectory()
        return try withExtendedLifetime(directory) { try body(directory.path) }
    }

    package static func with<Result>(_ body: (String) async throws -> Result) async throws -> Result {
        let directory = try TemporaryDirectory()
        let result = try await body(directory.path)
        withExtendedLifetime(directory) {}
        return result
    }

    /// Writes a file anywhere in place, with these permissions.
    package static func write(_ path: String, _ content: String, mode: Int = 0o600) throws {
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
}
