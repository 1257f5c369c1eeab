#define _GNU_SOURCE
#include "FileShims.h"
#include <fcntl.h>
#include <sys/stat.h>

int skywave_file_identity(const char *path, int64_t *inode, int64_t *born) {
    struct statx information;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_BTIME, &information) != 0) return 0;
    *inode = (int64_t)information.stx_ino;
    *born = 0;
    if (information.stx_mask & STATX_BTIME) {
        *born = (int64_t)information.stx_btime.tv_sec * 1000000000 + information.stx_btime.tv_nsec;
    }
    return 1;
}
