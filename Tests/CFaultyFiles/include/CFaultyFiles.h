// A file system of SQLite's (VFS) for tests: it writes down what is done to the files below certain directories, and lets
// single operations fail. Everything else goes straight to the system's.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    FAULTY_WRITE = 1,
    FAULTY_TRUNCATE = 2,
    FAULTY_SYNC = 3,
    FAULTY_DELETE = 4,
};

enum {
    FAULTY_NONE = 0,
    // Writes store half of what they should and report that the disk is full; other operations work.
    FAULTY_DISK_FULL = 1,
    // Every operation reports that the disk failed.
    FAULTY_DISK_FAILED = 2,
};

// One operation. `bytes` belongs to the trace.
typedef struct {
    int kind;
    // The last part of the file's path.
    const char *name;
    int64_t offset;
    const unsigned char *bytes;
    int64_t count;
} faulty_operation;

// Becomes SQLite's default file system, once per process.
void faulty_install(void);

// Begins to trace the files in a directory; returns a handle. The path must have no final slash.
int faulty_begin(const char *directory, int keeps_trace);

// Frees what was traced.
void faulty_end(int handle);

// Operations so far.
uint64_t faulty_count(int handle);

// Operations from number `first`, `count` of them, fail.
void faulty_fail(int handle, uint64_t first, uint64_t count, int fault);

// Operation number `index`; only with a trace.
faulty_operation faulty_at(int handle, uint64_t index);
