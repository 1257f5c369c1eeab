#pragma once
#include <stdint.h>

/// Heap allocations made by the calling thread since it started: malloc, calloc, realloc and the aligned kinds.
/// Counting is exact and costs one thread-local increment per allocation. It works in the executable that links
/// this target (its definitions replace those of glibc there) and on glibc only.
uint64_t skywave_allocation_count(void);

/// Gives freed memory back to the system, so that resident memory says what is in use.
void skywave_trim_heap(void);
