import Glibc

/// Tells the service manager how far the daemon is (sd_notify(3), "Notes": one datagram of lines to the socket that
/// `NOTIFY_SOCKET` names). Without that variable, or when the socket is gone, nothing happens.
package struct SystemdNotifier: Sendable {
    private let path: String?

    package init(path: String?) {
        self.path = path
    }

    /// As the service manager set it up for this process.
    package static func fromEnvironment() -> SystemdNotifier {
        guard let value = unsafe getenv("NOTIFY_SOCKET") else { return SystemdNotifier(path: nil) }
        return SystemdNotifier(path: unsafe String(cString: value))
    }

    package func ready(status: String) {
        send("READY=1\nSTATUS=\(status)")
    }

    package func stopping() {
        send("STOPPING=1\nSTATUS=Shutting down")
    }

    private func send(_ message: String) {
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count < capacity else { return }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in
            unsafe field.copyBytes(from: name)
            // `@` stands for the leading zero of an abstract socket.
            if name.first == UInt8(ascii: "@") { unsafe field[0] = 0 }
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(message.utf8)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), generic, length)
            }
        }
    }
}
