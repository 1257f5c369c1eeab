import XMPP

/// 32 bits over everything that a row holds, key included: finds what the disk changed, and lets a repair tell rows
/// from rubble.
enum RowChecksum {
    static func of(
        peer: Int64, kind: Int64, id: Int64, time: Int64, payload: UnsafeRawBufferPointer
    ) -> Int64 {
        var hash = StableHash()
        hash.combine(UInt64(bitPattern: peer))
        hash.combine(UInt64(bitPattern: kind))
        hash.combine(UInt64(bitPattern: id))
        hash.combine(UInt64(bitPattern: time))
        hash.combine(UInt64(payload.count))
        let words = payload.count & ~7
        var offset = 0
        while offset < words {
            let word = unsafe payload.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            hash.combine(UInt64(littleEndian: word))
            offset += 8
        }
        while offset < payload.count {
            unsafe hash.combine(payload[offset])
            offset += 1
        }
        return Int64(hash.value & 0xffff_ffff)
    }

    static func of(peer: Int64, kind: Int64, id: Int64, time: Int64, payload: [UInt8]) -> Int64 {
        unsafe payload.withUnsafeBytes { bytes in
            unsafe of(peer: peer, kind: kind, id: id, time: time, payload: bytes)
        }
    }
}
