import CShims

/// Which file this is, whatever its name and contents: copying a file over another keeps it, restoring one from a copy
/// does not.
///
/// Inode numbers are used again soon after a file is gone, so the moment of the file's birth belongs to it, which
/// nothing but making a file sets. The device number does not: it may change with every boot, and an identity that changed by
/// itself would make every peer begin a new epoch.
struct FileIdentity: Hashable, Sendable {
    var inode: Int64
    /// Nanoseconds since 1970; 0 where the file system does not keep it.
    var born: Int64

    init(inode: Int64, born: Int64) {
        self.inode = inode
        self.born = born
    }

    /// `nil` when there is no such file.
    init?(path: String) {
        var inode: Int64 = 0
        var born: Int64 = 0
        guard unsafe skywave_file_identity(path, &inode, &born) == 1 else { return nil }
        self.init(inode: inode, born: born)
    }
}
