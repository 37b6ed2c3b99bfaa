#include "mf_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static _Atomic(long) left = -1; /* allocations until the one that fails; below 0: none */
static atomic_bool reached;

static bool fails(void)
{
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
