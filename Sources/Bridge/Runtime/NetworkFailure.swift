import ConfigurationText
import Glibc
import NIOCore
import NIOPosix
import TLS

/// Errors of sockets in words that an operator knows.
package enum NetworkFailure {
    package static func describe(_ error: any Error) -> String {
        switch error {
        case let error as IOError: unsafe String(cString: strerror(error.errnoCode))
        case let error as TLSError: error.message
        case let error as NIOConnectionError: describe(error)
        case ChannelError.connectTimeout(let time): "no answer within \(ConfigurationUnits.format(time))"
        case ChannelError.eof: "the other side closed the connection"
        case let error as SocketAddressError: "\(error)"
        default: "\(error)"
        }
    }

    /// A dial that failed: the first address that said why, else the name that has no address.
    private static func describe(_ error: NIOConnectionError) -> String {
        if let first = error.connectionErrors.first {
            return "\(describe(first.error)) (\(error.host) port \(error.port))"
        }
        return "the name \(error.host) has no address"
    }
}
