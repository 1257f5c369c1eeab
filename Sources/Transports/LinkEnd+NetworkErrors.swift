import Glibc
import NIOCore
import NIOPosix
import TLS

extension LinkEnd {
    /// Translates an error of an established connection; nil for what only says that the connection is closed.
    init?(networkError error: any Error) {
        switch error {
        case let error as TLSError where error.code == .truncated || error.code == .closed:
            return nil
        case let error as TLSError:
            self = .failed("TLS: \(error.message)")
        case let error as IOError:
            self = LinkEnd(errno: error.errnoCode) ?? .failed("The system reports: \(error.description)")
        case is ChannelError:
            return nil
        default:
            self = .failed("\(error)")
        }
    }

    /// Translates the error of a dial.
    init(dialError error: any Error, remote: TCPLinkConfiguration.Remote) {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first {
                self = LinkEnd(dialError: first.error, remote: remote)
            } else {
                self = .failed(
                    "The name \(remote.host) cannot be resolved; check it, or write an address into [peer.transport] connect"
                )
            }
        case ChannelError.connectTimeout:
            self = .dialTimeout
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            self = .failed("Nothing listens at \(remote); start the peer's bridge, or correct address and port")
        default:
            self = LinkEnd(networkError: error) ?? .cut
        }
    }

    private init?(errno: CInt) {
        switch errno {
        case ECONNRESET, EPIPE: self = .reset
        case ETIMEDOUT: self = .silent
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN:
            self = .failed("There is no way to the peer; check route and bearer")
        default: return nil
        }
    }
}
