import COpenSSL

/// The error queue that OpenSSL keeps per thread, taken over as values.
enum OpenSSLErrors {
    /// One entry of the queue.
    struct Entry: Equatable {
        let library: Int32
        let reason: Int32
        let text: String
    }

    /// Forgets what an earlier call left behind; `SSL_get_error` looks at the queue and would blame it on this one.
    static func clear() {
        ERR_clear_error()
    }

    /// Empties the queue, oldest first: the cause stands before what follows from it.
    static func take() -> [Entry] {
        var entries: [Entry] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return entries }
            let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
            entries.append(
                Entry(
                    library: ERR_GET_LIB(code), reason: ERR_GET_REASON(code), text: text ?? "error \(code)"))
        }
    }

    /// What the queue says, for a sentence.
    static func takeText() -> String {
        let texts = self.take().map(\.text)
        return texts.isEmpty ? "no further information" : texts.joined(separator: ", ")
    }
}
