/* The memory of cells: zeroed, in whole cache lines, never given twice. */
#include "metrics/arena.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "mf_test.h"

#define LINE 64
#define CHUNK ((size_t)256 * 1024) /* what is allocated at once */

static bool is_zero(const unsigned char *memory, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (memory[i] != 0) {
            return false;
        }
    }
    return true;
}

static void test_pieces_are_whole_lines(void)
{
    mfi_heap_arena *heap = mfi_arena_heap_create();
    mfi_arena arena = mfi_arena_heap_as(heap);
    static const size_t sizes[] = {1, 63, 64, 65, 1000, 128};
    size_t used = 0;
    mf_check_int(mfi_arena_heap_used(heap), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *piece = arena.allocate(arena.self, sizes[i]);
        if (!mf_check(piece != NULL)) {
            break;
        }
        used += (sizes[i] + LINE - 1) / LINE * LINE;
        mf_check_int((uintptr_t)piece % LINE, 0);
        mf_check(is_zero(piece, sizes[i]));
        mf_check_int(mfi_arena_heap_used(heap), used);
        memset(piece, 0xff, sizes[i]); /* the next one must not lie here */
    }
    mfi_arena_heap_destroy(heap);
}

/* What does not fit into the rest of a chunk begins another one, however large it is. */
static void test_chunks_follow(void)
{
    mfi_heap_arena *heap = mfi_arena_heap_create();
    mfi_arena arena = mfi_arena_heap_as(heap);
    static const size_t sizes[] = {CHUNK - LINE, LINE,          CHUNK / 2, CHUNK / 2 + LINE,
                                   CHUNK,        4 * CHUNK + 1, LINE};
    size_t used = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *piece = arena.allocate(arena.self, sizes[i]);
        if (!mf_check(piece != NULL)) {
            break;
        }
        mf_check_int((uintptr_t)piece % LINE, 0);
        mf_check(is_zero(piece, sizes[i]));
        memset(piece, 0xff, sizes[i]);
        used += (sizes[i] + LINE - 1) / LINE * LINE;
    }
    mf_check_int(mfi_arena_heap_used(heap), used);
    mfi_arena_heap_destroy(heap);
}

/* More than the system has is refused, and the next piece is given as before. */
static void test_refuses_what_is_not_there(void)
{
    mfi_heap_arena *heap = mfi_arena_heap_create();
    mfi_arena arena = mfi_arena_heap_as(heap);
    mf_check(arena.allocate(arena.self, SIZE_MAX / 4) == NULL);
    mf_check_int(mfi_arena_heap_used(heap), 0);
    mf_check(arena.allocate(arena.self, 1) != NULL);
    mf_check_int(mfi_arena_heap_used(heap), LINE);
    mfi_arena_heap_destroy(heap);
    mfi_arena_heap_destroy(NULL);
}

#define THREADS 4
#define PIECES 5000

typedef struct taker {
    mfi_arena arena;
    unsigned char mark;
    unsigned char *pieces[PIECES];
} taker;

static void *take_pieces(void *argument)
{
    taker *at = argument;
    for (int i = 0; i < PIECES; i++) {
        at->pieces[i] = at->arena.allocate(at->arena.self, LINE);
        memset(at->pieces[i], at->mark, LINE);
    }
    return NULL;
}

/* Nobody gets what another thread has: each finds its own mark in all of its pieces. */
static void test_threads_get_their_own(void)
{
    static taker takers[THREADS];
    pthread_t threads[THREADS];
    mfi_heap_arena *heap = mfi_arena_heap_create();
    int wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        takers[i].arena = mfi_arena_heap_as(heap);
        takers[i].mark = (unsigned char)(i + 1);
        pthread_create(&threads[i], NULL, take_pieces, &takers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        for (int p = 0; p < PIECES; p++) {
            for (int b = 0; b < LINE; b++) {
                wrong += takers[i].pieces[p][b] != takers[i].mark;
            }
        }
    }
    mf_check_int(wrong, 0);
    mf_check_int(mfi_arena_heap_used(heap), THREADS * PIECES * LINE);
    mfi_arena_heap_destroy(heap);
}

static const mf_test tests[] = {
    {"arena__pieces_are_zeroed_lines_of_their_own", test_pieces_are_whole_lines},
    {"arena__chunks_follow_each_other", test_chunks_follow},
    {"arena__refuses_what_is_not_there", test_refuses_what_is_not_there},
    {"arena__threads_get_their_own", test_threads_get_their_own},
};
MF_TEST_MAIN(tests)
