import Glibc
package import NIOCore

/// A traffic file that is being written.
///
/// What was appended is with the kernel when ``append(_:)`` returns, so the end of the process loses nothing. Only
/// its owner may read it: it holds what people wrote.
package final class TrafficFile {
    /// Why the file cannot be made or written, in words that can follow its name.
    package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        package var description: String

        package init(description: String) {
            self.description = description
        }
    }

    package let path: String
    private var descriptor: Int32
    /// Bytes of whole entries.
    private var length = 0

    /// Makes the file, with mode 0600.
    ///
    /// - Parameter replaces: whether a file of that name is put out of the way. Without it that is a failure.
    package init(path: String, replaces: Bool) throws(Failure) {
        self.path = path
        if replaces, unsafe unlink(path) != 0, errno != ENOENT { throw Self.failure(errno) }
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw errno == EEXIST ? Failure(description: "exists already; --force replaces it") : Self.failure(errno)
        }
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// Appends whole entries. When that fails, none of them is in the file.
    package func append(_ bytes: ByteBuffer) throws(Failure) {
        guard descriptor >= 0 else { return }
        var rest = bytes
        while rest.readableBytes > 0 {
            let count = unsafe rest.readWithUnsafeReadableBytes { bytes in
                max(0, unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count))
            }
            if count == 0, errno != EINTR {
                let failure = Self.failure(errno)
                _ = ftruncate(descriptor, length)
                _ = lseek(descriptor, length, SEEK_SET)
                throw failure
            }
        }
        length += bytes.readableBytes
    }

    /// Has the file on the disk and closes it.
    package func close() throws(Failure) {
        guard descriptor >= 0 else { return }
        let failure = fsync(descriptor) == 0 ? nil : Self.failure(errno)
        Glibc.close(descriptor)
        descriptor = -1
        if let failure { throw failure }
    }

    /// Takes the file away.
    package func remove() {
        unsafe unlink(path)
    }

    private static func failure(_ code: Int32) -> Failure {
        Failure(description: unsafe String(cString: strerror(code)))
    }
}
