/// What can be read of a damaged journal: every row that is whole and proves its checksum, on whatever page it stands,
/// even when the way to that page is lost.
///
/// Source: SQLite file format, §1.6 (b-tree pages), §2.1 (records).
struct Salvage {
    /// By peer, kind and id.
    private(set) var entries: [Key: Entry] = [:]
    private(set) var serviceTime: UInt64 = 0
    private(set) var commits: UInt64 = 0
    /// Rows that are there, but incomplete or changed.
    private(set) var damagedRows = 0
    /// Pages in use that hold nothing readable.
    private(set) var damagedPages = 0
    /// The list of free pages is lost, so rows that had been removed may be among those that were saved.
    let mayHoldRemovedRows: Bool

    struct Key: Hashable, Comparable {
        var peer: Int64
        var kind: Int64
        var id: UInt64

        static func < (left: Key, right: Key) -> Bool {
            (left.peer, left.kind, left.id) < (right.peer, right.kind, right.id)
        }
    }

    private enum PageType {
        static let interiorIndex: UInt8 = 2
        static let interiorTable: UInt8 = 5
        static let leafIndex: UInt8 = 10
        static let leafTable: UInt8 = 13
    }

    private let image: SalvageImage
    private var overflowPages: Set<Int> = []

    init(_ image: SalvageImage) {
        self.image = image
        mayHoldRemovedRows = image.freePages == nil
        var unknown: [Int] = []
        for number in 1...max(image.pageCount, 1) where image.freePages?.contains(number) != true {
            if !readPage(number) { unknown.append(number) }
        }
        damagedPages = unknown.count { !overflowPages.contains($0) && !isEmpty($0) }
    }

    /// - Returns: false when it is no page of rows.
    private mutating func readPage(_ number: Int) -> Bool {
        guard let page = image.page(number) else { return false }
        let header = number == 1 ? 100 : 0
        let type = page[page.startIndex + header]
        guard type != PageType.interiorTable else { return true }
        guard [PageType.interiorIndex, PageType.leafIndex, PageType.leafTable].contains(type) else { return false }
        let count = page.integer(at: header + 1) >> 8 & 0xffff
        let cells = page.integer(at: header + 3) >> 16
        let pointers = header + (type == PageType.interiorIndex ? 12 : 8)
        guard cells > 0 else { return count == 0 }
        guard pointers + 2 * cells <= image.pageSize else { return false }
        for cell in 0..<cells {
            let pointer = page.startIndex + pointers + 2 * cell
            let offset = Int(page[pointer]) << 8 | Int(page[pointer + 1])
            if type == PageType.leafTable {
                // The site's row, or the schema's on page 1.
                readSite(page, offset)
            } else if !readEntry(page, offset + (type == PageType.interiorIndex ? 4 : 0)) {
                damagedRows += 1
            }
        }
        return true
    }

    private func isEmpty(_ number: Int) -> Bool { image.page(number)?.allSatisfy { $0 == 0 } ?? false }

    // MARK: Rows

    private mutating func readEntry(_ page: ArraySlice<UInt8>, _ offset: Int) -> Bool {
        var reader = RecordReader(page, offset)
        let greatest = (image.usableSize - 12) * 64 / 255 - 23
        guard let size = reader.variable(), let record = payload(page, reader.offset, size, greatest),
            let values = RecordReader.values(record), values.count == 6, case .integer(let peer) = values[0],
            case .integer(let kind) = values[1], case .integer(let id) = values[2], case .integer(let time) = values[3],
            case .integer(let sum) = values[4], case .blob(let payload) = values[5],
            sum == RowChecksum.of(peer: peer, kind: kind, id: id, time: time, payload: payload)
        else { return false }
        let entry = Entry(
            peer: peer, kind: kind, id: UInt64(bitPattern: id), time: UInt64(clamping: time), payload: payload)
        let key = Key(peer: peer, kind: kind, id: entry.id)
        if entries[key] == nil { entries[key] = entry }
        return true
    }

    private mutating func readSite(_ page: ArraySlice<UInt8>, _ offset: Int) {
        var reader = RecordReader(page, offset)
        guard let size = reader.variable(), reader.variable() != nil,
            let record = payload(page, reader.offset, size, image.usableSize - 35),
            let values = RecordReader.values(record), values.count == 11, case .integer(let commits) = values[2],
            case .integer(let serviceTime) = values[3]
        else { return }
        self.commits = max(self.commits, UInt64(clamping: commits))
        self.serviceTime = max(self.serviceTime, UInt64(clamping: serviceTime))
    }

    /// A cell's payload with what of it stands on overflow pages.
    ///
    /// - Parameter greatest: the size up to which a payload stands on the page whole.
    private mutating func payload(
        _ page: ArraySlice<UInt8>, _ offset: Int, _ size: Int, _ greatest: Int
    ) -> [UInt8]? {
        guard size >= 0, size <= image.pageCount * image.pageSize else { return nil }
        var local = size
        if size > greatest {
            let least = (image.usableSize - 12) * 32 / 255 - 23
            let rest = least + (size - least) % (image.usableSize - 4)
            local = rest <= greatest ? rest : least
        }
        guard offset >= 0, offset + local + (local < size ? 4 : 0) <= image.usableSize else { return nil }
        var bytes = Array(page[page.startIndex + offset..<page.startIndex + offset + local])
        guard local < size else { return bytes }
        var next = page.integer(at: offset + local)
        var chain: [Int] = []
        while bytes.count < size {
            guard let overflow = image.page(next), chain.count <= image.pageCount else { return nil }
            chain.append(next)
            let count = min(size - bytes.count, image.usableSize - 4)
            bytes += overflow[overflow.startIndex + 4..<overflow.startIndex + 4 + count]
            next = overflow.integer(at: 0)
        }
        overflowPages.formUnion(chain)
        return bytes
    }
}

/// Reads SQLite's variable-length integers and records from bytes that may be anything.
struct RecordReader {
    enum Value: Equatable {
        case null
        case integer(Int64)
        case blob([UInt8])
        case text([UInt8])
    }

    private let bytes: ArraySlice<UInt8>
    private(set) var offset: Int

    init(_ bytes: ArraySlice<UInt8>, _ offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    /// `nil` at the end of the bytes, and for what does not fit an `Int` of a record's size.
    mutating func variable() -> Int? {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard offset >= 0, offset < bytes.count else { return nil }
            let byte = bytes[bytes.startIndex + offset]
            offset += 1
            if index == 8 {
                value = value << 8 | UInt64(byte)
            } else {
                value = value << 7 | UInt64(byte & 0x7f)
                if byte & 0x80 == 0 { break }
            }
        }
        return Int(exactly: value)
    }

    static func values(_ record: [UInt8]) -> [Value]? {
        var header = RecordReader(record[...], 0)
        guard let headerSize = header.variable(), headerSize <= record.count else { return nil }
        var values: [Value] = []
        var start = headerSize
        while header.offset < headerSize {
            guard let type = header.variable(), values.count < 64 else { return nil }
            let size: Int
            switch type {
            case 0, 8, 9: size = 0
            case 1...4: size = type
            case 5: size = 6
            case 6: size = 8
            case 12...: size = (type - 12) / 2
            default: return nil
            }
            guard size <= record.count - start else { return nil }
            let bytes = record[start..<start + size]
            start += size
            switch type {
            case 0: values.append(.null)
            case 8, 9: values.append(.integer(Int64(type - 8)))
            case 1...6:
                let negative = bytes.first.map { $0 & 0x80 != 0 } ?? false
                values.append(.integer(bytes.reduce(negative ? -1 : 0) { $0 << 8 | Int64($1) }))
            default: values.append(type % 2 == 0 ? .blob(Array(bytes)) : .text(Array(bytes)))
            }
        }
        return values
    }
}
