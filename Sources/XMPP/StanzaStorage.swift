/// A range of a stanza's bytes.
struct ByteRange: Equatable {
    var start: UInt32 = 0
    var count: UInt32 = 0

    init() {}

    init(_ start: Int, _ count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    var end: Int { Int(self.start) + Int(self.count) }
}

/// Where one address of a stanza lies: value and domainpart. A `domain` of no bytes says that the address is missing or
/// malformed.
struct AddressRanges {
    var value = ByteRange()
    var domain = ByteRange()
    var domainHash: UInt64 = 0
    var bareHash: UInt64 = 0
}

/// One element of a stanza's index.
struct ElementEntry {
    /// Offset of `<`.
    var start: UInt32
    /// Offset behind the open tag's `>`.
    var openEnd: UInt32
    /// Offset behind the element.
    var end: UInt32
    var name: UInt16
    /// 0 for the stanza itself.
    var depth: UInt8
    var reserved: UInt8 = 0
}

/// What is known of a stanza without looking at its bytes.
struct StanzaFields {
    var kind = StanzaKind.other
    var type = StanzaType.absent
    var to = AddressRanges()
    var from = AddressRanges()
    var id = ByteRange()
    var language = ByteRange()
    var elementCount = 0
    var byteCount = 0
}

/// The memory of one stanza: fields, index and canonical bytes in a single allocation.
///
/// Never changed after ``make(fields:entries:bytes:)`` returned, which is what makes sharing it safe. One allocation
/// instead of three is worth the unsafe code: a bridge holds hundreds of thousands of them.
final class StanzaStorage: ManagedBuffer<StanzaFields, UInt64> {
    static func make(
        fields: StanzaFields, entries: UnsafePointer<ElementEntry>, bytes: UnsafePointer<UInt8>
    ) -> StanzaStorage {
        let entryWords = fields.elementCount * MemoryLayout<ElementEntry>.stride / 8
        let byteWords = (fields.byteCount + 7) / 8
        let buffer = StanzaStorage.create(minimumCapacity: entryWords + byteWords) { _ in fields }
        unsafe buffer.withUnsafeMutablePointerToElements { words in
            let start = UnsafeMutableRawPointer(words)
            unsafe start.copyMemory(
                from: entries, byteCount: fields.elementCount * MemoryLayout<ElementEntry>.stride)
            unsafe (start + entryWords * 8).copyMemory(from: bytes, byteCount: fields.byteCount)
        }
        return unsafe unsafeDowncast(buffer, to: StanzaStorage.self)
    }

    /// Makes a stanza's memory and lets `fill` write entries and bytes, all of them, as many as `fields` says.
    static func make(
        fields: StanzaFields, fill: (UnsafeMutablePointer<ElementEntry>, UnsafeMutablePointer<UInt8>) -> Void
    ) -> StanzaStorage {
        let entryWords = fields.elementCount * MemoryLayout<ElementEntry>.stride / 8
        let buffer = StanzaStorage.create(minimumCapacity: entryWords + (fields.byteCount + 7) / 8) { _ in fields }
        unsafe buffer.withUnsafeMutablePointerToElements { words in
            let start = UnsafeMutableRawPointer(words)
            unsafe fill(
                start.assumingMemoryBound(to: ElementEntry.self),
                (start + entryWords * 8).assumingMemoryBound(to: UInt8.self))
        }
        return unsafe unsafeDowncast(buffer, to: StanzaStorage.self)
    }

    /// What is known without looking at the bytes.
    ///
    /// Not read as `header`: the runtime would record every such access to see whether somebody writes meanwhile, which
    /// nobody ever does, and a stanza is asked for its fields a hundred times on its way.
    @inline(__always)
    var fields: StanzaFields { unsafe self.withUnsafeMutablePointerToHeader { fields in unsafe fields.pointee } }

    @inline(__always)
    func withBytes<R>(_ body: (Bytes) -> R) -> R {
        unsafe self.withUnsafeMutablePointers { fields, words in
            let offset = unsafe fields.pointee.elementCount * MemoryLayout<ElementEntry>.stride
            let start = unsafe UnsafeRawPointer(words) + offset
            return unsafe body(Bytes(start.assumingMemoryBound(to: UInt8.self), fields.pointee.byteCount))
        }
    }

    @inline(__always)
    func withEntries<R>(_ body: (UnsafeBufferPointer<ElementEntry>) -> R) -> R {
        unsafe self.withUnsafeMutablePointers { fields, words in
            let count = unsafe fields.pointee.elementCount
            let start = unsafe UnsafeRawPointer(words).assumingMemoryBound(to: ElementEntry.self)
            return unsafe body(UnsafeBufferPointer(start: start, count: count))
        }
    }

    func entry(_ index: Int) -> ElementEntry {
        precondition(index >= 0 && index < self.fields.elementCount, "no such element")
        return unsafe self.withUnsafeMutablePointerToElements { words in
            unsafe UnsafeRawPointer(words).load(
                fromByteOffset: index * MemoryLayout<ElementEntry>.stride, as: ElementEntry.self)
        }
    }
}
