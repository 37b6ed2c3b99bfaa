/* The magazines of the threads, and the depots behind them. Calls and answers are made on one
 * thread and put back on another, so magazines fill and drain. A thread moves half a magazine at
 * a time, so that it takes a lock once for that many objects. */
#include "base/cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define KINDS_MAX 8 /* kinds of objects; the library has seven */
#define MAGAZINE 64 /* objects that one thread keeps of one kind */

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS false
#else
#define KEEPS true
#endif

typedef struct magazine {
    size_t count;
    void *objects[MAGAZINE];
} magazine;

static mfi_mutex kinds_mutex = MFI_MUTEX_INIT;
static mfi_cache *kinds[KINDS_MAX]; /* written under kinds_mutex before the kind has a number */
static unsigned kind_count;         /* guarded by kinds_mutex */
static pthread_key_t thread_key;    /* its destructor empties the magazines of a thread that ends */
static bool has_key;                /* guarded by kinds_mutex */
static _Thread_local magazine *own[KINDS_MAX];

static void free_object(const mfi_cache *cache, void *object)
{
    if (cache->empty != NULL) {
        cache->empty(object);
    }
    free(object);
}

/* ---- Between a magazine and the depot ---- */

/* Moves objects to the depot, and frees those that do not fit, until `keep` are left. */
static void unload(mfi_cache *cache, magazine *from, size_t keep)
{
    mfi_mutex_lock(&cache->mutex);
    size_t moved = from->count - keep;
    size_t room = MFI_CACHE_DEPOT - cache->count;
    moved = moved < room ? moved : room;
    from->count -= moved;
    memcpy(cache->objects + cache->count, from->objects + from->count, moved * sizeof(void *));
    cache->count += moved;
    mfi_mutex_unlock(&cache->mutex);
    while (from->count > keep) {
        free_object(cache, from->objects[--from->count]);
    }
}

static void load(mfi_cache *cache, magazine *to)
{
    mfi_mutex_lock(&cache->mutex);
    size_t moved = cache->count < MAGAZINE / 2 ? cache->count : MAGAZINE / 2;
    cache->count -= moved;
    memcpy(to->objects + to->count, cache->objects + cache->count, moved * sizeof(void *));
    to->count += moved;
    mfi_mutex_unlock(&cache->mutex);
}

/* ---- Threads ---- */

static void end_thread(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < KINDS_MAX; i++) {
        if (own[i] != NULL) {
            unload(kinds[i], own[i], 0);
            free(own[i]);
            own[i] = NULL;
        }
    }
}

/* An unloaded library must leave no destructor behind. */
static __attribute__((destructor)) void forget_key(void)
{
    if (has_key) {
        (void)pthread_key_delete(thread_key);
        has_key = false;
    }
}

/* fork() copies only the calling thread, so this thread holds the locks while it forks. */
static void before_fork(void)
{
    mfi_mutex_lock(&kinds_mutex);
    for (unsigned i = 0; i < kind_count; i++) {
        mfi_mutex_lock(&kinds[i]->mutex);
    }
}

static void after_fork(void)
{
    for (unsigned i = 0; i < kind_count; i++) {
        mfi_mutex_unlock(&kinds[i]->mutex);
    }
    mfi_mutex_unlock(&kinds_mutex);
}

static bool prepare_locked(void)
{
    if (!has_key && pthread_key_create(&thread_key, end_thread) == 0) {
        has_key = true;
        (void)pthread_atfork(before_fork, after_fork, after_fork);
    }
    return has_key;
}

static unsigned number_kind(mfi_cache *cache)
{
    mfi_mutex_lock(&kinds_mutex);
    unsigned number = atomic_load_explicit(&cache->number, memory_order_relaxed);
    bool ready = prepare_locked();
    if (number == 0 && ready && kind_count < KINDS_MAX) {
        kinds[kind_count++] = cache;
        number = kind_count;
        atomic_store_explicit(&cache->number, number, memory_order_release);
    }
    mfi_mutex_unlock(&kinds_mutex);
    return number;
}

/* NULL if the thread cannot keep objects of this kind. */
static magazine *magazine_of(mfi_cache *cache)
{
    unsigned number = atomic_load_explicit(&cache->number, memory_order_acquire);
    if (!KEEPS || (number == 0 && (number = number_kind(cache)) == 0)) {
        return NULL;
    }
    if (own[number - 1] == NULL && pthread_setspecific(thread_key, own) == 0) {
        own[number - 1] = calloc(1, sizeof(magazine));
    }
    return own[number - 1];
}

/* ---- Objects ---- */

void *mfi_cache_get(mfi_cache *cache)
{
    magazine *from = magazine_of(cache);
    if (from != NULL && from->count == 0) {
        load(cache, from);
    }
    return from != NULL && from->count > 0 ? from->objects[--from->count] : calloc(1, cache->size);
}

void mfi_cache_put(mfi_cache *cache, void *object)
{
    magazine *to = object != NULL ? magazine_of(cache) : NULL;
    if (to == NULL) {
        if (object != NULL) {
            free_object(cache, object);
        }
        return;
    }
    if (to->count == MAGAZINE) {
        unload(cache, to, MAGAZINE / 2);
    }
    to->objects[to->count++] = object;
}
