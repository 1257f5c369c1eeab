package import TrafficRecording

/// What the operator should know while streams are recorded.
package enum TapNotice: Equatable, Sendable, CustomStringConvertible {
    /// A connection passes that cannot be read; told once for each reason.
    case notReadable(StreamWatch.Reason)
    /// A stream broke a rule; it goes on and is not read any more. Told once.
    case brokenStream(condition: String)
    /// An upstream cannot be reached; told once until it can.
    case noUpstream(String, reason: String)
    /// More connections than are passed on at a time; told once.
    case tooManyConnections(Int)
    /// The file has its end; streams pass on.
    case recordingEnded(TapEnding)

    package var description: String {
        switch self {
        case .notReadable(.tls):
            """
            a stream turned to TLS: it is passed on, but nothing of it can be recorded. For the time of the \
            recording have the servers talk in the clear, in a network where that does no harm. Prosody: \
            s2s_require_encryption = false, s2s_secure_auth = false and modules_disabled = { "tls" }; ejabberd: \
            s2s_use_starttls: false and mod_s2s_dialback. Towards a bridge, which then proves itself by dialback: \
            [site.tls] mode = "off"
            """
        case .notReadable(.compression):
            "a stream is compressed (XEP-0138): it is passed on, but nothing of it can be recorded; switch compression off"
        case .notReadable(.notServers):
            """
            a connection is no stream between servers (or a server and a component): it is passed on and not \
            recorded; only such streams say in each stanza who sent it
            """
        case .brokenStream(let condition):
            "a stream could not be read any further (\(condition)): it is passed on, the rest of it is not recorded"
        case .noUpstream(let upstream, let reason):
            "\(upstream) cannot be reached: \(reason); connections for it are closed until it can"
        case .tooManyConnections(let most):
            "more than \(most) connections at a time: further ones are closed"
        case .recordingEnded(let ending):
            "the recording has ended: \(ending). Streams still pass through here"
        }
    }
}

/// Why a recording ended.
package enum TapEnding: Equatable, Sendable, CustomStringConvertible {
    case asked
    case size
    case time
    case file(TrafficFile.Failure)

    package var description: String {
        switch self {
        case .asked: "as asked"
        case .size: "its greatest size is reached"
        case .time: "its time is up"
        case .file(let failure): "the file could not be written: \(failure)"
        }
    }
}
