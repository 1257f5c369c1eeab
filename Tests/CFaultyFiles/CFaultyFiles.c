#include "CFaultyFiles.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TRACES 4096

typedef struct {
    char *directory;
    int keeps_trace;
    uint64_t count;
    uint64_t capacity;
    faulty_operation *operations;
    uint64_t first_fault;
    uint64_t faults;
    int fault;
} trace;

typedef struct {
    sqlite3_file base;
    trace *trace;
    char *name;
    sqlite3_file *real;
} faulty_file;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static trace *traces[MOST_TRACES];
static int trace_count;
static sqlite3_vfs *system_files;
static sqlite3_vfs faulty_files;

static trace *trace_of(const char *path) {
    trace *found = NULL;
    if (path == NULL) return NULL;
    pthread_mutex_lock(&mutex);
    for (int index = 0; index < trace_count && found == NULL; index++) {
        trace *candidate = traces[index];
        if (candidate == NULL) continue;
        size_t length = strlen(candidate->directory);
        if (strncmp(path, candidate->directory, length) == 0 && path[length] == '/') found = candidate;
    }
    pthread_mutex_unlock(&mutex);
    return found;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

// Notes an operation and says how it ends.
static int note(trace *trace, int kind, const char *name, int64_t offset, const void *bytes, int64_t count) {
    pthread_mutex_lock(&mutex);
    uint64_t number = trace->count++;
    int fault = number >= trace->first_fault && number - trace->first_fault < trace->faults ? trace->fault : FAULTY_NONE;
    if (fault == FAULTY_DISK_FULL && kind != FAULTY_WRITE) fault = FAULTY_NONE;
    if (trace->keeps_trace) {
        if (number == trace->capacity) {
            trace->capacity = trace->capacity == 0 ? 1024 : trace->capacity * 2;
            trace->operations = realloc(trace->operations, trace->capacity * sizeof(faulty_operation));
        }
        faulty_operation *operation = &trace->operations[number];
        operation->kind = kind;
        operation->name = strdup(name);
        operation->offset = offset;
        operation->count = count;
        operation->bytes = NULL;
        if (bytes != NULL && count > 0) {
            unsigned char *copy = malloc((size_t)count);
            memcpy(copy, bytes, (size_t)count);
            operation->bytes = copy;
        }
    }
    pthread_mutex_unlock(&mutex);
    return fault;
}

#define REAL(file) (((faulty_file *)(file))->real)

static int file_close(sqlite3_file *file) {
    int result = REAL(file)->pMethods == NULL ? SQLITE_OK : REAL(file)->pMethods->xClose(REAL(file));
    free(((faulty_file *)file)->name);
    return result;
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset) {
    return REAL(file)->pMethods->xRead(REAL(file), bytes, count, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    faulty_file *own = (faulty_file *)file;
    if (own->trace != NULL) {
        int fault = note(own->trace, FAULTY_WRITE, own->name, offset, bytes, count);
        if (fault == FAULTY_DISK_FULL) {
            own->real->pMethods->xWrite(own->real, bytes, count / 2, offset);
            return SQLITE_FULL;
        }
        if (fault == FAULTY_DISK_FAILED) return SQLITE_IOERR_WRITE;
    }
    return own->real->pMethods->xWrite(own->real, bytes, count, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    faulty_file *own = (faulty_file *)file;
    if (own->trace != NULL && note(own->trace, FAULTY_TRUNCATE, own->name, size, NULL, 0) != FAULTY_NONE) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return own->real->pMethods->xTruncate(own->real, size);
}

static int file_sync(sqlite3_file *file, int flags) {
    faulty_file *own = (faulty_file *)file;
    if (own->trace != NULL) {
        if (note(own->trace, FAULTY_SYNC, own->name, 0, NULL, 0) != FAULTY_NONE) return SQLITE_IOERR_FSYNC;
        // What a power cut leaves is made up from the trace; the real disk need not be waited for.
        return SQLITE_OK;
    }
    return own->real->pMethods->xSync(own->real, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return REAL(file)->pMethods->xFileSize(REAL(file), size);
}

static int file_lock(sqlite3_file *file, int level) { return REAL(file)->pMethods->xLock(REAL(file), level); }

static int file_unlock(sqlite3_file *file, int level) { return REAL(file)->pMethods->xUnlock(REAL(file), level); }

static int file_check_lock(sqlite3_file *file, int *result) {
    return REAL(file)->pMethods->xCheckReservedLock(REAL(file), result);
}

static int file_control(sqlite3_file *file, int code, void *argument) {
    // Files grow by their writes alone, so that each of them can be the one that finds the disk full.
    faulty_file *own = (faulty_file *)file;
    if (own->trace != NULL && (code == SQLITE_FCNTL_SIZE_HINT || code == SQLITE_FCNTL_CHUNK_SIZE)) return SQLITE_OK;
    return own->real->pMethods->xFileControl(own->real, code, argument);
}

static int file_sector(sqlite3_file *file) { return REAL(file)->pMethods->xSectorSize(REAL(file)); }

static int file_traits(sqlite3_file *file) { return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file)); }

static int file_shared_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory) {
    return REAL(file)->pMethods->xShmMap(REAL(file), region, size, extend, memory);
}

static int file_shared_lock(sqlite3_file *file, int offset, int count, int flags) {
    return REAL(file)->pMethods->xShmLock(REAL(file), offset, count, flags);
}

static void file_shared_barrier(sqlite3_file *file) { REAL(file)->pMethods->xShmBarrier(REAL(file)); }

static int file_shared_unmap(sqlite3_file *file, int deletes) {
    return REAL(file)->pMethods->xShmUnmap(REAL(file), deletes);
}

static const sqlite3_io_methods file_methods = {
    2, file_close, file_read, file_write, file_truncate, file_sync, file_size, file_lock, file_unlock, file_check_lock,
    file_control, file_sector, file_traits, file_shared_map, file_shared_lock, file_shared_barrier, file_shared_unmap,
    NULL, NULL,
};

static int files_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out) {
    (void)vfs;
    faulty_file *own = (faulty_file *)file;
    memset(own, 0, sizeof *own);
    own->real = (sqlite3_file *)(own + 1);
    int result = system_files->xOpen(system_files, path, own->real, flags, flags_out);
    if (result != SQLITE_OK) return result;
    own->trace = trace_of(path);
    own->name = path == NULL ? NULL : strdup(last_part(path));
    own->base.pMethods = &file_methods;
    return SQLITE_OK;
}

static int files_delete(sqlite3_vfs *vfs, const char *path, int syncs) {
    (void)vfs;
    trace *trace = trace_of(path);
    if (trace != NULL && note(trace, FAULTY_DELETE, last_part(path), 0, NULL, 0) != FAULTY_NONE) {
        return SQLITE_IOERR_DELETE;
    }
    return system_files->xDelete(system_files, path, trace == NULL ? syncs : 0);
}

static void install(void) {
    sqlite3_initialize();
    system_files = sqlite3_vfs_find(NULL);
    faulty_files = *system_files;
    faulty_files.pNext = NULL;
    faulty_files.zName = "faulty";
    faulty_files.szOsFile = (int)sizeof(faulty_file) + system_files->szOsFile;
    faulty_files.xOpen = files_open;
    faulty_files.xDelete = files_delete;
    sqlite3_vfs_register(&faulty_files, 1);
}

void faulty_install(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

int faulty_begin(const char *directory, int keeps_trace) {
    trace *new = calloc(1, sizeof *new);
    new->directory = strdup(directory);
    new->keeps_trace = keeps_trace;
    pthread_mutex_lock(&mutex);
    int handle = 0;
    while (handle < trace_count && traces[handle] != NULL) handle++;
    if (handle == MOST_TRACES) abort();
    traces[handle] = new;
    if (handle == trace_count) trace_count++;
    pthread_mutex_unlock(&mutex);
    return handle;
}

void faulty_end(int handle) {
    pthread_mutex_lock(&mutex);
    trace *old = traces[handle];
    traces[handle] = NULL;
    pthread_mutex_unlock(&mutex);
    for (uint64_t index = 0; old->keeps_trace && index < old->count; index++) {
        free((void *)old->operations[index].name);
        free((void *)old->operations[index].bytes);
    }
    free(old->operations);
    free(old->directory);
    free(old);
}

uint64_t faulty_count(int handle) {
    pthread_mutex_lock(&mutex);
    uint64_t count = traces[handle]->count;
    pthread_mutex_unlock(&mutex);
    return count;
}

void faulty_fail(int handle, uint64_t first, uint64_t count, int fault) {
    pthread_mutex_lock(&mutex);
    traces[handle]->first_fault = first;
    traces[handle]->faults = count;
    traces[handle]->fault = fault;
    pthread_mutex_unlock(&mutex);
}

faulty_operation faulty_at(int handle, uint64_t index) {
    pthread_mutex_lock(&mutex);
    faulty_operation operation = traces[handle]->operations[index];
    pthread_mutex_unlock(&mutex);
    return operation;
}
