// statx, which the C library's module hides from Swift.
#pragma once
#include <stdint.h>

// The inode of a file, and the nanoseconds since 1970 at which it was made, or 0 where the file system does not keep
// that. Returns 1 on success.
int skywave_file_identity(const char *path, int64_t *inode, int64_t *born);
