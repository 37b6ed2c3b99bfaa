/* Keeps large blocks for reuse, because memory from the system has to be mapped and cleared each
 * time. Free blocks wait in one list for each power of two. */
#include "base/block.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mutex.h"

#define SMALLEST 12                  /* log2 of 4 KiB; malloc is as fast for smaller blocks */
#define LARGEST 23                   /* log2 of 8 MiB */
#define KEPT_BYTES ((size_t)8 << 20) /* bound of all kept blocks: one of the largest size */

/* The link of a free block, stored in the block itself. */
typedef struct unused {
    struct unused *next;
} unused;

static mfi_mutex mutex = MFI_MUTEX_INIT;
static unused *lists[LARGEST - SMALLEST + 1]; /* guarded by mutex; one for each size */
static size_t kept;                           /* guarded by mutex; bytes */

/* fork() copies only the calling thread, so this thread holds the lock while it forks. */
static void before_fork(void)
{
    mfi_mutex_lock(&mutex);
}

static void after_fork(void)
{
    mfi_mutex_unlock(&mutex);
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, after_fork);
}

static void lock(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    mfi_mutex_lock(&mutex);
}

/* The index of the list for a size, or -1 if blocks of that size are not kept. AddressSanitizer
 * builds keep none, so that the sanitizer sees every use of a freed block. */
static int list_of(size_t capacity)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)capacity;
    return -1;
#else
    int power = __builtin_ctzll((unsigned long long)capacity);
    bool fits = capacity >= (size_t)1 << SMALLEST && capacity <= (size_t)1 << LARGEST;
    return fits && capacity == (size_t)1 << power ? power - SMALLEST : -1;
#endif
}

void *mfi_block_get(size_t capacity)
{
    unused *block = NULL;
    int list = list_of(capacity);
    if (list >= 0) {
        lock();
        block = lists[list];
        if (block != NULL) {
            lists[list] = block->next;
            kept -= capacity;
        }
        mfi_mutex_unlock(&mutex);
    }
    return block != NULL ? block : malloc(capacity);
}

void mfi_block_put(void *block, size_t capacity)
{
    int list = block != NULL ? list_of(capacity) : -1;
    bool keeps = false;
    if (list >= 0) {
        lock();
        keeps = capacity <= KEPT_BYTES - kept;
        if (keeps) {
            unused *at = block;
            at->next = lists[list];
            lists[list] = at;
            kept += capacity;
        }
        mfi_mutex_unlock(&mutex);
    }
    if (!keeps) {
        free(block);
    }
}
