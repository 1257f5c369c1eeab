import Glibc

/// Small files with certificates and keys.
enum PEMFile {
    /// Largest file that is read; the system's bundle of root certificates has about 220 kB.
    static let largestBytes = 4 << 20

    /// The whole content. Errors name the file and what is wrong with it.
    static func read(_ path: String) throws(TLSError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TLSError(.fileUnreadable, "\(path): cannot be read: \(self.systemError())") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe Glibc.read(descriptor, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw TLSError(.fileUnreadable, "\(path): cannot be read: \(self.systemError())") }
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= self.largestBytes else {
                throw TLSError(.fileMalformed, "\(path): is larger than \(self.largestBytes) bytes")
            }
        }
    }

    /// Replaces or creates a file so that a reader sees the old content or the new one and never a part, also after a
    /// loss of power: a new file beside it, written through to the disk, takes its name.
    ///
    /// - Parameter isSecret: Only the owner may read it (mode 0600) from the first byte on; otherwise 0644.
    static func write(_ text: String, to path: String, isSecret: Bool) throws(TLSError) {
        let temporary = "\(path).\(SecureRandom.hex(bytes: 6)).new"
        let mode: mode_t = isSecret ? 0o600 : 0o644
        let descriptor = self.openForCreation(temporary, mode: mode)
        guard descriptor >= 0 else {
            throw TLSError(.fileUnwritable, "\(path): cannot be written: \(self.systemError())")
        }
        var isComplete = self.writeAll(Array(text.utf8), to: descriptor) && fsync(descriptor) == 0
        // The process's umask may have taken rights away; a certificate is for everybody.
        isComplete = fchmod(descriptor, mode) == 0 && isComplete
        isComplete = close(descriptor) == 0 && isComplete
        isComplete = unsafe isComplete && rename(temporary, path) == 0
        guard isComplete else {
            let reason = self.systemError()
            unsafe unlink(temporary)
            throw TLSError(.fileUnwritable, "\(path): cannot be written: \(reason)")
        }
        self.synchroniseDirectory(of: path)
    }

    private static func openForCreation(_ path: String, mode: mode_t) -> Int32 {
        unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Makes the new name durable. Some file systems refuse it; the content is safe in any case.
    private static func synchroniseDirectory(of path: String) {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func systemError() -> String {
        unsafe String(cString: strerror(errno))
    }
}
