import Glibc

/// The right to a state directory: held by one process at a time, and let go when that ends, however it ends.
final class DirectoryLock: Sendable {
    static let fileName = "journal.lock"

    private let descriptor: Int32

    /// - Parameter isShared: for readers, which may be several at a time but not beside an owner.
    init(directory: String, isShared: Bool = false) throws(StoreError) {
        let path = "\(directory)/\(Self.fileName)"
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            let cause = SystemFailure.text(errno)
            throw StoreError(.unusable, "\(path): \(cause); check owner and mode of the state directory")
        }
        guard flock(file, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let code = errno
            var owner = [UInt8](repeating: 0, count: 32)
            let count = unsafe pread(file, &owner, owner.count, 0)
            close(file)
            guard code == EWOULDBLOCK else { throw StoreError(.unusable, "\(path): \(SystemFailure.text(code))") }
            let digits = owner.prefix(max(count, 0)).prefix { (48...57).contains($0) }
            let who = digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
            throw StoreError(
                .inUse,
                "the state directory \(directory) is in use by \(who); two cannot share it, so stop that one first")
        }
        if !isShared {
            let line = Array("\(getpid())\n".utf8)
            _ = ftruncate(file, 0)
            _ = unsafe pwrite(file, line, line.count, 0)
        }
        descriptor = file
    }

    deinit {
        // Not by closing alone: a process that is just being started holds a copy of the descriptor for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}

/// The system's words for an error number.
enum SystemFailure {
    static func text(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
}
