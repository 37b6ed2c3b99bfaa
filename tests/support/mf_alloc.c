/* Wraps malloc and its relatives with the linker's --wrap, so that a test can fail each allocation
 * in turn, or count them. */
#include "mf_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t most);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static _Atomic(long) left = -1; /* allocations before the one that fails; below 0: none fails */
static atomic_bool reached;
static _Atomic(long) counted;

static bool fails(void)
{
    atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
    if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0) {
        return false;
    }
    atomic_store(&reached, true);
    return true;
}

void mf_alloc_fail_at(long n)
{
    atomic_store(&reached, false);
    atomic_store(&left, n);
}

bool mf_alloc_stop(void)
{
    atomic_store(&left, -1);
    return atomic_load(&reached);
}

long mf_alloc_count(void)
{
    return atomic_load_explicit(&counted, memory_order_relaxed);
}

void *mf_alloc_malloc(size_t size)
{
    return __wrap_malloc(size);
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t most)
{
    return fails() ? NULL : __real_strndup(text, most);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
