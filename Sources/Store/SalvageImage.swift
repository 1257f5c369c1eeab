/// The pages of an SQLite file with its write-ahead log laid over them, read without SQLite and believing nothing.
///
/// Source: SQLite file format, §1 (pages, free list), §4 (write-ahead log). The log counts as far as SQLite would take
/// it: up to the last commit before the first frame whose checksum is wrong.
struct SalvageImage {
    let pageSize: Int
    let pageCount: Int
    /// Bytes of a page that SQLite uses itself.
    let usableSize: Int
    /// Pages on the free list; `nil` when that cannot be read, so that old rows cannot be told from present ones.
    private(set) var freePages: Set<Int>?
    /// `user_version` of the file; 0 when the header is not readable.
    let version: Int
    private let file: [UInt8]
    private let log: [UInt8]
    /// Where the latest version of a page stands in the log.
    private let overlay: [Int: Int]

    init(file: [UInt8], log: [UInt8]) {
        self.file = file
        self.log = log
        let frames = LogFrames(log)
        // All files of ours have this size, so it is the best guess for one whose header is gone.
        var size = 4_096
        let header = frames.overlay[1].map { Array(log[$0..<min($0 + 100, log.count)]) } ?? Array(file.prefix(100))
        let isReadable = header.count == 100 && header.starts(with: Array("SQLite format 3\0".utf8))
        if isReadable {
            let stored = Int(header[16]) << 8 | Int(header[17])
            let found = stored == 1 ? 65_536 : stored
            if found >= 512, found.nonzeroBitCount == 1 { size = found }
        }
        if frames.pageSize == size { overlay = frames.overlay } else { overlay = [:] }
        pageSize = size
        usableSize = isReadable && Int(header[20]) < 64 ? size - Int(header[20]) : size
        let inFile = file.count / size
        let named = isReadable ? header.integer(at: 28) : 0
        let greatest = max(inFile, overlay.keys.max() ?? 0)
        pageCount = named > 0 && named <= greatest ? named : greatest
        version = isReadable ? header.integer(at: 60) : 0
        freePages = isReadable ? readFreeList(first: header.integer(at: 32), count: header.integer(at: 36)) : nil
    }

    /// The bytes of a page, counted from 1; `nil` beyond the end.
    func page(_ number: Int) -> ArraySlice<UInt8>? {
        guard number >= 1, number <= pageCount else { return nil }
        if let start = overlay[number] { return log[start..<start + pageSize] }
        let start = (number - 1) * pageSize
        guard start + pageSize <= file.count else { return nil }
        return file[start..<start + pageSize]
    }

    private func readFreeList(first: Int, count: Int) -> Set<Int>? {
        var pages: Set<Int> = []
        var trunk = first
        while trunk != 0 {
            guard let page = page(trunk), pages.insert(trunk).inserted else { return nil }
            let leaves = page.integer(at: 4)
            guard leaves <= usableSize / 4 - 2 else { return nil }
            for index in 0..<leaves {
                let leaf = page.integer(at: 8 + 4 * index)
                guard leaf >= 1, leaf <= pageCount, pages.insert(leaf).inserted else { return nil }
            }
            trunk = page.integer(at: 0)
        }
        return pages.count == count ? pages : nil
    }
}

/// The frames of a write-ahead log that SQLite would apply.
private struct LogFrames {
    var pageSize = 0
    /// Page number to the place of its latest contents in the log.
    var overlay: [Int: Int] = [:]

    init(_ log: [UInt8]) {
        guard log.count >= 32, log.integer(at: 0) & ~1 == 0x377f_0682 else { return }
        let isBigEndian = log.integer(at: 0) & 1 == 1
        pageSize = log.integer(at: 8)
        guard pageSize >= 512, pageSize <= 65_536, pageSize.nonzeroBitCount == 1 else { return }
        var sum = Checksum(isBigEndian: isBigEndian)
        sum.add(log[0..<24])
        guard sum.first == log.integer(at: 24), sum.second == log.integer(at: 28) else { return }
        let salts = (log.integer(at: 16), log.integer(at: 20))
        var start = 32
        var uncommitted: [Int: Int] = [:]
        while start + 24 + pageSize <= log.count {
            guard (log.integer(at: start + 8), log.integer(at: start + 12)) == salts else { return }
            sum.add(log[start..<start + 8])
            sum.add(log[start + 24..<start + 24 + pageSize])
            guard sum.first == log.integer(at: start + 16), sum.second == log.integer(at: start + 20) else { return }
            uncommitted[log.integer(at: start)] = start + 24
            if log.integer(at: start + 4) != 0 {
                overlay.merge(uncommitted) { $1 }
                uncommitted = [:]
            }
            start += 24 + pageSize
        }
    }

    private struct Checksum {
        let isBigEndian: Bool
        private var sums: (UInt32, UInt32) = (0, 0)

        init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

        var first: Int { Int(sums.0) }
        var second: Int { Int(sums.1) }

        mutating func add(_ bytes: ArraySlice<UInt8>) {
            var index = bytes.startIndex
            while index < bytes.endIndex {
                sums.0 = sums.0 &+ word(bytes, index) &+ sums.1
                sums.1 = sums.1 &+ word(bytes, index + 4) &+ sums.0
                index += 8
            }
        }

        private func word(_ bytes: ArraySlice<UInt8>, _ index: Int) -> UInt32 {
            let value = UInt32(truncatingIfNeeded: bytes.integer(at: index - bytes.startIndex))
            return isBigEndian ? value : value.byteSwapped
        }
    }
}

extension RandomAccessCollection where Element == UInt8, Index == Int {
    /// Four bytes, greatest first, counted from the collection's start.
    func integer(at offset: Int) -> Int {
        let start = startIndex + offset
        return Int(self[start]) << 24 | Int(self[start + 1]) << 16 | Int(self[start + 2]) << 8 | Int(self[start + 3])
    }
}
