import Glibc

/// The few file operations that the daemon needs; whole small files only.
package enum Files {
    /// Why a file could not be read or written, in words that can follow the name of the file.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package var description: String

        package init(_ description: String) {
            self.description = description
        }

        static func system(_ code: Int32) -> Failure {
            Failure(unsafe String(cString: strerror(code)))
        }
    }

    package enum Kind: Equatable {
        case file
        case directory
        case other
    }

    /// Reads a regular file of at most `limit` bytes.
    package static func read(_ path: String, limit: Int = 1 << 20) throws(Failure) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .system(errno) }
        defer { close(descriptor) }
        var information = stat()
        guard unsafe fstat(descriptor, &information) == 0 else { throw .system(errno) }
        guard information.st_mode & S_IFMT == S_IFREG else { throw Failure("Not a file") }
        guard information.st_size <= limit else { throw Failure("Larger than \(limit) bytes") }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
        throw Failure("Larger than \(limit) bytes")
    }

    /// Reads standard input to its end, at most `limit` bytes.
    package static func readStandardInput(limit: Int) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = unsafe Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system(errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
        throw Failure("Larger than \(limit) bytes")
    }

    package static func readText(_ path: String, limit: Int = 1 << 20) throws(Failure) -> String {
        guard let text = String(validating: try read(path, limit: limit), as: UTF8.self) else {
            throw Failure("Not UTF-8 text")
        }
        return text
    }

    package static func kind(_ path: String) -> Kind? {
        var information = stat()
        guard unsafe stat(path, &information) == 0 else { return nil }
        return switch information.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        default: .other
        }
    }

    /// What lies in a directory, without order; nothing where it is none or cannot be read.
    package static func names(in directory: String) -> [String] {
        guard let handle = unsafe opendir(directory) else { return [] }
        defer { unsafe _ = closedir(handle) }
        var names: [String] = []
        while let entry = unsafe readdir(handle) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    package static func isWritable(_ path: String) -> Bool {
        unsafe access(path, W_OK) == 0
    }

    /// The permission bits of a file, or `nil` when there is none.
    package static func permissions(_ path: String) -> UInt32? {
        var information = stat()
        guard unsafe stat(path, &information) == 0 else { return nil }
        return information.st_mode & 0o7777
    }

    /// Makes a directory; one that is already there is left as it is.
    ///
    /// - Parameter isPrivate: only its owner may enter it.
    package static func makeDirectory(_ path: String, isPrivate: Bool) throws(Failure) {
        if unsafe mkdir(path, isPrivate ? 0o700 : 0o755) == 0 { return }
        guard errno == EEXIST, kind(path) == .directory else { throw .system(errno) }
    }

    /// ``create(_:_:isPrivate:)`` of a file that only its owner may read.
    package static func createPrivate(_ path: String, _ bytes: [UInt8]) throws(Failure) -> Bool {
        try create(path, bytes, isPrivate: true)
    }

    /// Writes a new file, so that it appears whole or not at all, and only if no file of that name is there yet. Returns
    /// whether this call made it.
    ///
    /// - Parameter isPrivate: only its owner may read it; else everybody may, whatever the umask.
    package static func create(_ path: String, _ bytes: [UInt8], isPrivate: Bool) throws(Failure) -> Bool {
        let temporary = "\(path).\(getpid()).new"
        unsafe unlink(temporary)
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(errno) }
        defer { unsafe unlink(temporary) }
        do throws(Failure) {
            try writeAll(descriptor, bytes)
            guard isPrivate || fchmod(descriptor, 0o644) == 0 else { throw .system(errno) }
            guard fsync(descriptor) == 0 else { throw .system(errno) }
        } catch {
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw .system(errno) }
        // A hard link fails when the name is taken, unlike a rename: a running daemon's file is never replaced.
        if unsafe link(temporary, path) == 0 { return true }
        guard errno == EEXIST else { throw .system(errno) }
        return false
    }

    private static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// A path as the configuration means it: relative ones count from the directory of the configuration file.
    package static func resolve(_ path: String, relativeTo directory: String) -> String {
        path.hasPrefix("/") || directory.isEmpty ? path : "\(directory)/\(path)"
    }

    /// The directory part of a path, `.` when it has none.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
