import Glibc

/// Plain lines to the two outputs.
enum Terminal {
    static func error(_ text: String) {
        write(text + "\n", to: STDERR_FILENO)
    }

    static func output(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// In place of what was shown before, where standard output is a terminal.
    static func redraw(_ text: String, clears: Bool) {
        let clear = clears && isatty(STDOUT_FILENO) == 1 ? "\u{1B}[H\u{1B}[2J" : ""
        output(clear + text)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
