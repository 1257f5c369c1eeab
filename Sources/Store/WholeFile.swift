import Glibc

enum WholeFile {
    /// All bytes of a file; `nil` when there is none.
    static func read(_ path: String) throws(StoreError) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        if file < 0, errno == ENOENT { return nil }
        guard file >= 0 else { throw StoreError(.unusable, "\(path): \(SystemFailure.text(errno))") }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError(.inputOutput, "\(path): \(SystemFailure.text(errno))") }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }
}

enum UTCStamp {
    /// The present moment as it may stand in the name of a file: `20261121T054400Z`.
    static func now() -> String {
        var now = time(nil)
        var parts = unsafe tm()
        unsafe gmtime_r(&now, &parts)
        func digits(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let date = unsafe "\(parts.tm_year + 1_900)" + digits(parts.tm_mon + 1) + digits(parts.tm_mday)
        return unsafe date + "T" + digits(parts.tm_hour) + digits(parts.tm_min) + digits(parts.tm_sec) + "Z"
    }
}
