import ConfigurationText
import NIOCore

/// `[admin]`: where the daemon can be asked how it is.
package struct AdminConfiguration: Equatable, Sendable {
    /// `socket`: the Unix socket on which `skywave status` and `skywave queue` find the daemon. Default: `admin.sock` in
    /// the state directory.
    package var socket: String
    /// `listen`: `"127.0.0.1:9464"`, a TCP address for a metrics collector. On a loopback address it answers `/metrics`
    /// and `/healthz` to everybody on the machine; everything else, and every other address, demands the token.
    /// Default: none.
    package var listen: Endpoint?
    /// `token-file`: a file with the token, one line of 32 characters or more, that the daemon's user alone can read.
    package var tokenFile: String?

    package init(socket: String, listen: Endpoint? = nil, tokenFile: String? = nil) {
        self.socket = socket
        self.listen = listen
        self.tokenFile = tokenFile
    }

    /// A shorter token could be guessed; 32 characters of hex are 128 bits.
    static let minimumTokenLength = 32

    /// Reads a token file.
    ///
    /// - Returns: the token, or what is wrong with the file.
    package static func readToken(_ file: String) -> Result<String, ConfigurationFileProblem> {
        let text: String
        do {
            text = try Files.readText(file, limit: 4_096)
        } catch {
            return .failure(.init("\(file): \(error)"))
        }
        if let mode = Files.permissions(file), mode & 0o007 != 0 {
            let shown = String(mode, radix: 8)
            return .failure(.init("\(file): everybody on this machine may read the token (mode \(shown))"))
        }
        var token = text[...]
        while token.last?.isNewline == true { token.removeLast() }
        guard token.utf8.count >= minimumTokenLength, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return .failure(.init("\(file): not one line of \(minimumTokenLength) or more visible ASCII characters"))
        }
        return .success(String(token))
    }
}

/// Why a file that a configuration names cannot be used.
package struct ConfigurationFileProblem: Error, Equatable {
    package var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// `[admin]` as far as it could be read; problems have been reported.
struct AdminReading {
    private let socket: String?
    private let listen: Endpoint?
    private let tokenFile: String?

    /// Where ``AdminConfiguration/listen`` stands.
    var listener: TableReader.Located<Endpoint>? {
        listen.map { TableReader.Located(value: $0, path: TOMLPath([.key("admin"), .key("listen")])) }
    }

    init(_ table: TableReader?) {
        guard let table else {
            (socket, listen, tokenFile) = (nil, nil, nil)
            return
        }
        defer { table.finish() }
        socket = table.path("socket", allowed: "the path of a Unix socket")
        listen = table.endpoint("listen", mustBeAddress: true, allowed: "\"ADDRESS:PORT\", as in \"127.0.0.1:9464\"")
        tokenFile = table.path("token-file", allowed: "the path of a file with a token")
        if let tokenFile, case .failure(let problem) = AdminConfiguration.readToken(tokenFile) {
            table.report(
                "token-file", problem.description,
                allowed: "a file of mode 0600 with a token, as from: openssl rand -hex 32")
        }
        if let listen, !listen.isLoopback, !table.has("token-file") {
            table.report(
                "listen", "others can reach this address, and there is no token",
                allowed: "a loopback address such as \"127.0.0.1:9464\", or token-file beside it")
        }
        if tokenFile != nil, !table.has("listen") {
            table.report("token-file", "nothing asks for it", allowed: "listen beside it, or without")
        }
    }

    /// - Parameter state: the state directory, where the socket lies by default.
    func configuration(state: String?, _ reader: ConfigurationReader) -> AdminConfiguration? {
        guard let socket = socket ?? state.map({ "\($0)/admin.sock" }) else { return nil }
        // sockaddr_un holds 108 bytes with the terminating zero, and the socket is first made at ".<process id>/s" below.
        if socket.utf8.count > 95 {
            reader.report(
                TOMLPath([.key("admin"), .key("socket")]), value: "\"\(socket)\"",
                "the path of a Unix socket is too long", allowed: "at most 95 bytes")
        }
        return AdminConfiguration(socket: socket, listen: listen, tokenFile: tokenFile)
    }
}
