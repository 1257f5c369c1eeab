import Glibc
import NIOCore
import NIOPosix

/// Puts the control socket into place so that no other user can connect at any moment.
///
/// The socket is bound inside a fresh directory of mode 0700, given mode 0600 and then renamed over the path: a rename
/// replaces a stale socket atomically, and there is no instant at which the umask decides who may connect.
struct ControlSocket: Sendable {
    let path: String
    private let directory: String

    /// Where the server binds before ``publish()``.
    var temporaryPath: String { directory + "/s" }

    init(path: String) {
        self.path = path
        directory = "\(path).\(getpid())"
    }

    /// Checks the path and makes the private directory.
    ///
    /// - Throws: ``AdminError`` `.unusablePath`, `.notASocket`, or `.inUse` when another process answers there.
    func prepare(on group: any EventLoopGroup) async throws {
        do {
            _ = try SocketAddress(unixDomainSocketPath: temporaryPath)
        } catch {
            let longest = 107 - (temporaryPath.utf8.count - path.utf8.count)
            throw AdminError(
                .unusablePath, path: path,
                "the path is too long for a Unix socket (at most \(longest) bytes); choose a shorter [admin] socket")
        }
        switch kind() {
        case .absent: break
        case .other:
            throw AdminError(
                .notASocket, path: path,
                "something that is not a socket lies there; move it away or choose another path")
        case .socket:
            if let channel = try? await ClientBootstrap(group: group).connectTimeout(.seconds(1))
                .connect(unixDomainSocketPath: path).get()
            {
                try? await channel.close()
                throw AdminError(
                    .inUse, path: path, "another process answers there; stop it or choose another [admin] socket")
            }
        }
        // A crashed process with our number may have left the directory behind.
        discard()
        guard unsafe mkdir(directory, 0o700) == 0 else {
            throw unusable("cannot make a socket there")
        }
    }

    /// Gives the bound socket its mode and its place.
    func publish() throws {
        defer { discard() }
        guard unsafe chmod(temporaryPath, 0o600) == 0, unsafe rename(temporaryPath, path) == 0 else {
            throw unusable("cannot put the socket into place")
        }
    }

    /// Removes what ``prepare(on:)`` made.
    func discard() {
        unsafe unlink(temporaryPath)
        unsafe rmdir(directory)
    }

    /// Removes the published socket.
    func remove() {
        if case .socket = kind() { unsafe unlink(path) }
    }

    private enum Kind { case absent, socket, other }

    private func kind() -> Kind {
        var information = stat()
        guard unsafe lstat(path, &information) == 0 else { return .absent }
        return information.st_mode & S_IFMT == S_IFSOCK ? .socket : .other
    }

    private func unusable(_ what: String) -> AdminError {
        let reason = errno
        let text = unsafe strerror(reason).map { unsafe String(cString: $0) } ?? "error \(reason)"
        return AdminError(
            .unusablePath, path: path, "\(what): \(text); make its directory and let this user write to it")
    }
}
