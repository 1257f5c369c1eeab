import TestSupport

/// The files of a directory, as a disk with a cache holds them: what was synchronised, and what was written since.
struct DiskModel {
    /// What a power cut leaves of writes that were not synchronised.
    enum Remains: CaseIterable {
        /// Nothing.
        case none
        /// All, but the last write was cut at a sector.
        case tornAtTheEnd
        /// Any of their sectors, in any mixture.
        case someSectors
    }

    private static let sector = 512
    private struct File {
        var durable: [UInt8] = []
        var pending: [FaultyFiles.Operation] = []
    }

    private var files: [String: File] = [:]

    mutating func apply(_ operation: FaultyFiles.Operation) {
        switch operation {
        case .write(let name, _, _), .truncate(let name, _): files[name, default: File()].pending.append(operation)
        case .sync(let name):
            var file = files[name] ?? File()
            for operation in file.pending { Self.apply(operation, to: &file.durable) }
            file.pending = []
            files[name] = file
        case .delete(let name): files[name] = nil
        }
    }

    /// The files as they are found after the power is back.
    func remains(_ remains: Remains, _ generator: inout SeededGenerator) -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            var bytes = file.durable
            for (index, operation) in file.pending.enumerated() {
                switch (remains, operation) {
                case (.none, _): break
                case (.tornAtTheEnd, .write(let name, let offset, let written)) where index == file.pending.count - 1:
                    let sectors = Self.sectors(offset, written)
                    let kept = Int.random(in: 0...sectors.count, using: &generator)
                    for piece in sectors[..<kept] { Self.apply(.write(name, piece.0, piece.1), to: &bytes) }
                case (.tornAtTheEnd, _): Self.apply(operation, to: &bytes)
                case (.someSectors, .write(let name, let offset, let written)):
                    for piece in Self.sectors(offset, written) where Bool.random(using: &generator) {
                        Self.apply(.write(name, piece.0, piece.1), to: &bytes)
                    }
                case (.someSectors, _):
                    if Bool.random(using: &generator) { Self.apply(operation, to: &bytes) }
                }
            }
            result[name] = bytes
        }
        return result
    }

    /// A write in pieces that lie in one sector each.
    private static func sectors(_ offset: Int, _ bytes: [UInt8]) -> [(Int, [UInt8])] {
        var pieces: [(Int, [UInt8])] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, ((offset + start) / sector + 1) * sector - offset)
            pieces.append((offset + start, Array(bytes[start..<end])))
            start = end
        }
        return pieces
    }

    private static func apply(_ operation: FaultyFiles.Operation, to bytes: inout [UInt8]) {
        switch operation {
        case .write(_, let offset, let written):
            let missing = offset + written.count - bytes.count
            if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
            bytes.replaceSubrange(offset..<offset + written.count, with: written)
        case .truncate(_, let size):
            if size < bytes.count { bytes.removeLast(bytes.count - size) }
        case .sync, .delete: break
        }
    }
}
