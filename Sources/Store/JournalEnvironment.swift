import Glibc
import NIOConcurrencyHelpers

/// What the journal asks of the world beside SQLite's own files. Tests put another in its place.
protocol JournalEnvironment: Sendable {
    /// Milliseconds since 1970 by the wall clock.
    func wallTime() -> Int64
    func identity(of path: String) -> FileIdentity?
    /// Bytes that are free for this user in the file system of `directory`; `nil` when unknown.
    func freeBytes(in directory: String) -> UInt64?
    func readMark(_ path: String) -> JournalMark?
    /// Writes a mark as a new file under a name of its own, durably.
    func stageMark(_ mark: JournalMark, at path: String) throws(StoreError)
    /// Gives the staged mark its final name, in place of the one before, durably.
    func installMark(from staged: String, to path: String) throws(StoreError)
    /// Writes over the mark where it is; need not be durable, and may fail.
    func updateMark(_ mark: JournalMark, at path: String)
    /// Lays hold of disk space for the write-ahead log, so that a full disk does not stop what only removes.
    func reserve(_ path: String, bytes: Int)
}

/// The real world.
final class SystemEnvironment: JournalEnvironment {
    private let markFile = NIOLockedValueBox<(path: String, descriptor: Int32)?>(nil)

    deinit { closeMark() }

    func wallTime() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    func identity(of path: String) -> FileIdentity? { FileIdentity(path: path) }

    func freeBytes(in directory: String) -> UInt64? {
        var information = statvfs()
        guard unsafe statvfs(directory, &information) == 0 else { return nil }
        return UInt64(information.f_bavail) &* UInt64(information.f_frsize)
    }

    func readMark(_ path: String) -> JournalMark? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: JournalMark.byteCount + 1)
        let count = unsafe read(file, &bytes, bytes.count)
        return count < 0 ? nil : JournalMark(bytes: Array(bytes[..<count]))
    }

    func stageMark(_ mark: JournalMark, at path: String) throws(StoreError) {
        unsafe unlink(path)
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure(path) }
        defer { close(file) }
        let bytes = mark.bytes
        guard unsafe write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 else { throw Self.failure(path) }
    }

    func installMark(from staged: String, to path: String) throws(StoreError) {
        closeMark()
        guard unsafe rename(staged, path) == 0 else { throw Self.failure(path) }
        Directories.synchronize(Directories.parent(of: path))
    }

    func updateMark(_ mark: JournalMark, at path: String) {
        markFile.withLockedValue { held in
            if held?.path != path {
                if let held { close(held.descriptor) }
                let file = unsafe open(path, O_WRONLY | O_CLOEXEC)
                held = file >= 0 ? (path, file) : nil
            }
            guard let held else { return }
            let bytes = mark.bytes
            _ = unsafe pwrite(held.descriptor, bytes, bytes.count, 0)
        }
    }

    func reserve(_ path: String, bytes: Int) {
        let file = unsafe open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        posix_fallocate(file, 0, bytes)
        close(file)
    }

    private func closeMark() {
        markFile.withLockedValue { held in
            if let held { close(held.descriptor) }
            held = nil
        }
    }

    private static func failure(_ path: String) -> StoreError {
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT
        return StoreError(isFull ? .diskFull : .unusable, "\(path): \(SystemFailure.text(code))")
    }
}

enum Directories {
    /// Makes names in a directory durable.
    static func synchronize(_ path: String) {
        let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        fsync(directory)
        close(directory)
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
