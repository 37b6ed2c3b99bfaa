/* Random numbers and ids. A system call for each id would cost more than the rest of a call, so
 * each thread draws random bytes in blocks. A forked child drops the blocks of its parent. */
#include "base/id.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/hex.h"

#define POOL_BYTES 512 /* of one getrandom() call: 32 ids */

static _Atomic(uint64_t) fork_generation;

/* A place with an address is in use. It is written before the address, which releases it. */
typedef struct cover {
    _Atomic(bool) taken;
    _Atomic(size_t) size;
    _Atomic(void *) address;
} cover;

static cover covers[MFI_FORK_COVERS_MAX];

/* Calls only what a signal handler may call: other threads of the parent may hold any lock. */
static void cover_shared_memory(void)
{
    for (size_t i = 0; i < MFI_FORK_COVERS_MAX; i++) {
        void *address = atomic_exchange_explicit(&covers[i].address, NULL, memory_order_acquire);
        if (address != NULL) {
            (void)mmap(address, atomic_load_explicit(&covers[i].size, memory_order_relaxed),
                       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        }
        atomic_store_explicit(&covers[i].taken, false, memory_order_release);
    }
}

static void after_fork_in_child(void)
{
    cover_shared_memory();
    atomic_fetch_add_explicit(&fork_generation, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

uint64_t mfi_fork_generation(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic(bool) watched; /* spares the hot path the call of pthread_once() */
    if (!atomic_load_explicit(&watched, memory_order_acquire)) {
        (void)pthread_once(&once, watch_forks);
        atomic_store_explicit(&watched, true, memory_order_release);
    }
    return atomic_load_explicit(&fork_generation, memory_order_relaxed);
}

bool mfi_fork_cover(void *address, size_t size)
{
    (void)mfi_fork_generation(); /* forks are watched from now on */
    for (size_t i = 0; i < MFI_FORK_COVERS_MAX; i++) {
        if (!atomic_exchange_explicit(&covers[i].taken, true, memory_order_acquire)) {
            atomic_store_explicit(&covers[i].size, size, memory_order_relaxed);
            atomic_store_explicit(&covers[i].address, address, memory_order_release);
            return true;
        }
    }
    return false;
}

void mfi_fork_uncover(void *address)
{
    for (size_t i = 0; i < MFI_FORK_COVERS_MAX; i++) {
        void *expected = address;
        if (atomic_compare_exchange_strong_explicit(&covers[i].address, &expected, NULL,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            atomic_store_explicit(&covers[i].taken, false, memory_order_release);
        }
    }
}

typedef struct pool {
    uint8_t bytes[POOL_BYTES];
    size_t left;
    uint64_t generation;
} pool;

static _Thread_local pool thread_pool;

static void fill(uint8_t *to, size_t size)
{
    while (size > 0) {
        ssize_t got = getrandom(to, size, 0);
        if (got > 0) {
            to += got;
            size -= (size_t)got;
        }
        /* Only EINTR can happen here: the kernel has had getrandom since 3.17. */
    }
}

void mfi_random(void *to, size_t size)
{
    pool *own = &thread_pool;
    uint64_t generation = mfi_fork_generation();
    if (size > POOL_BYTES) {
        fill(to, size);
        return;
    }
    if (own->left < size || own->generation != generation) {
        fill(own->bytes, POOL_BYTES);
        own->left = POOL_BYTES;
        own->generation = generation;
    }
    own->left -= size;
    memcpy(to, own->bytes + own->left, size);
    memset(own->bytes + own->left, 0, size); /* so that nobody reads used bytes later */
}

uint64_t mfi_random_u64(void)
{
    uint64_t word = 0;
    mfi_random(&word, sizeof word);
    return word;
}

/* xoshiro256++ 1.0 (D. Blackman, S. Vigna, 2019; public domain), seeded from the CSPRNG. */
typedef struct fast_state {
    uint64_t words[4];
    uint64_t generation; /* fork generation; 0: not seeded */
} fast_state;

static _Thread_local fast_state thread_fast;

static uint64_t rotate(uint64_t word, int by)
{
    return word << by | word >> (64 - by);
}

uint64_t mfi_random_fast(void)
{
    fast_state *own = &thread_fast;
    uint64_t *s = own->words;
    uint64_t generation = mfi_fork_generation() + 1;
    if (own->generation != generation) {
        mfi_random(s, sizeof own->words);
        s[0] |= 1; /* the state must not be all zero */
        own->generation = generation;
    }
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return result;
}

static mfi_uuid make_uuid(size_t random_bytes)
{
    mfi_uuid uuid = {{0}};
    mfi_random(uuid.bytes, random_bytes);
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

mfi_uuid mfi_uuid_make(void)
{
    return make_uuid(16);
}

mfi_uuid mfi_uuid_begin(void)
{
    return make_uuid(10);
}

void mfi_uuid_format(const mfi_uuid *uuid, char to[MFI_UUID_TEXT])
{
    char digits[32];
    for (size_t i = 0; i < 4; i++) {
        mfi_hex_write8(digits + i * 8, mfi_load_be32(uuid->bytes + i * 4));
    }
    memcpy(to, digits, 8);
    to[8] = '-';
    memcpy(to + 9, digits + 8, 4);
    to[13] = '-';
    memcpy(to + 14, digits + 12, 4);
    to[18] = '-';
    memcpy(to + 19, digits + 16, 4);
    to[23] = '-';
    memcpy(to + 24, digits + 20, 12);
    to[36] = '\0';
}

bool mfi_uuid_parse(const char *text, size_t length, mfi_uuid *ret_uuid)
{
    if (length != MFI_UUID_TEXT - 1 || text[8] != '-' || text[13] != '-' || text[18] != '-' ||
        text[23] != '-') {
        return false;
    }
    char digits[32];
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    memcpy(digits + 12, text + 14, 4);
    memcpy(digits + 16, text + 19, 4);
    memcpy(digits + 20, text + 24, 12);
    mfi_uuid uuid;
    for (size_t i = 0; i < 4; i++) {
        uint32_t number = 0;
        if (!mfi_hex_read8(digits + i * 8, &number)) {
            return false;
        }
        mfi_store_be32(uuid.bytes + i * 4, number);
    }
    *ret_uuid = uuid;
    return true;
}
