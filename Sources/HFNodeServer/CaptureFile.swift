import Glibc
package import NIOCore

/// A file that grows while something runs, written through so that another program can look at it meanwhile.
package final class CaptureFile {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private let descriptor: Int32
    private let path: String
    /// Why the rest is missing.
    package private(set) var failure: Failure?

    package init(path: String) throws(Failure) {
        self.path = path
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw Failure(description: "cannot write \(path): \(unsafe String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// What cannot be written is missing from then on; the run goes on.
    package func write(_ bytes: ByteBuffer) {
        guard failure == nil else { return }
        unsafe bytes.withUnsafeReadableBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = unsafe Glibc.write(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    failure = Failure(description: "\(path) is cut off: \(unsafe String(cString: strerror(errno)))")
                    return
                }
                done += count
            }
        }
    }
}
