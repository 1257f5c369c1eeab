import CFaultyFiles

/// What SQLite did to the files of one directory, and faults to come.
final class FaultyFiles {
    enum Fault: Int32 {
        case diskFull = 1
        case diskFailed = 2
    }

    let handle: Int32

    init(_ directory: String, keepsTrace: Bool) {
        faulty_install()
        handle = unsafe faulty_begin(directory, keepsTrace ? 1 : 0)
    }

    deinit { faulty_end(handle) }

    var count: Int { Self.count(handle) }

    static func count(_ handle: Int32) -> Int { Int(faulty_count(handle)) }

    func fail(from first: Int, count: Int, _ fault: Fault) {
        faulty_fail(handle, UInt64(first), UInt64(count), fault.rawValue)
    }

    subscript(index: Int) -> Operation {
        let operation = unsafe faulty_at(handle, UInt64(index))
        let name = unsafe String(cString: operation.name)
        switch unsafe Int(operation.kind) {
        case FAULTY_WRITE:
            let bytes = unsafe Array(UnsafeBufferPointer(start: operation.bytes, count: Int(operation.count)))
            return unsafe .write(name, Int(operation.offset), bytes)
        case FAULTY_TRUNCATE: return unsafe .truncate(name, Int(operation.offset))
        case FAULTY_SYNC: return .sync(name)
        default: return .delete(name)
        }
    }

    enum Operation: Equatable {
        case write(String, Int, [UInt8])
        case truncate(String, Int)
        case sync(String)
        case delete(String)
    }
}
