/* Windows: the last minute alone, with totals since the start. */
#include "metrics/instruments.h"

#include <math.h>
#include <string.h>

#include "metric_support.h"

static void test_window_forgets(void)
{
    mfi_fake_clock clock;
    mf_metrics *metrics = NULL;
    mfi_heap_arena *heap = mfi_arena_heap_create();
    mf_distribution read = MF_DISTRIBUTION_INIT;
    mfi_fake_clock_init(&clock, 1000 * MFI_NS_PER_S);
    mf_check_int(
        mfi_metric_set_create_in(&metrics, NULL, mfi_arena_heap_as(heap), &clock.clock, NULL),
        MF_OK);
    mf_family *family = add_family(metrics, MF_METRIC_WINDOW, "recent_seconds", NULL, 0, 0);
    mf_window *window = mf_family_window(family, NULL);
    mf_window_record_ns(window, 2000000);
    mf_window_read(window, &read);
    mf_check(fabs(read.p50 / 0.002 - 1) < 0.011);
    mfi_fake_clock_advance(&clock, 50 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(!isnan(read.p50));
    mfi_fake_clock_advance(&clock, 20 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(isnan(read.p50));
    mf_check_int(read.count, 1);
    /* A thread that read its clock long ago is counted, but changes no later slot. */
    mf_window_record_ns(window, 3000000);
    mfi_window_record_at(window, mfi_shard_index(), 9000000,
                         1000 * MFI_NS_PER_S + 5 * MFI_NS_PER_S);
    mf_window_read(window, &read);
    mf_check(fabs(read.p999 / 0.003 - 1) < 0.011);
    mf_check_int(read.count, 3);
    mf_metrics_destroy(metrics);
    mfi_arena_heap_destroy(heap);
}

/* ---- A window by hand ---- */

typedef struct by_hand {
    mfi_heap_arena *heap;
    mfi_fake_clock clock;
    mf_window window;
} by_hand;

static void open_window(by_hand *at, uint64_t start_ns)
{
    *at = (by_hand){.heap = mfi_arena_heap_create()};
    mfi_fake_clock_init(&at->clock, start_ns);
    at->window.clock = &at->clock.clock;
    at->window.layout = mfi_layout_of(MF_SCALE_DURATION);
    at->window.arena = mfi_arena_heap_as(at->heap);
}

static mfi_cells merged(const by_hand *at, uint64_t *ret_total)
{
    mfi_cells cells = {0};
    mfi_window_merge(&at->window, &cells, ret_total);
    return cells;
}

/* A value is seen in the slot that it fell into and in the twelve after it. */
static void test_slots_are_kept_for_twelve_more(void)
{
    by_hand at;
    uint64_t total = 0;
    open_window(&at, 0); /* at the very start of the clock, too */
    mf_check_int(merged(&at, &total).count, 0);
    mf_window_record_ns(&at.window, 1000);
    for (int slot = 0; slot < MFI_WINDOW_SLOTS; slot++) {
        mf_check_int(merged(&at, &total).count, 1);
        mfi_fake_clock_advance(&at.clock, MFI_WINDOW_SLOT_NS);
    }
    mf_check_int(merged(&at, &total).count, 0);
    mf_check_int(total, 1);
    mf_check(merged(&at, &total).sum == 1e-6);
    mfi_arena_heap_destroy(at.heap);
}

/* A slot that comes around again begins empty, with all of its cells. */
static void test_slots_begin_empty(void)
{
    by_hand at;
    uint64_t total = 0;
    open_window(&at, 7 * MFI_NS_PER_S);
    for (int round = 0; round < 3 * MFI_WINDOW_SLOTS; round++) {
        mf_window_record_ns(&at.window, 0);
        mf_window_record_ns(&at.window, 1000000);
        mf_window_record_ns(&at.window, 1000 * MFI_NS_PER_S);
        mfi_cells cells = merged(&at, &total);
        int kept = round + 1 < MFI_WINDOW_SLOTS ? round + 1 : MFI_WINDOW_SLOTS;
        mf_check_int(cells.under, kept);
        mf_check_int(cells.over, kept);
        mf_check_int(cells.cells[mfi_layout_index_integer(at.window.layout, 1000000)], kept);
        mf_check_int(cells.count, 3 * kept);
        mf_check_int(total, 3 * (round + 1));
        mfi_fake_clock_advance(&at.clock, MFI_WINDOW_SLOT_NS);
    }
    mfi_arena_heap_destroy(at.heap);
}

/* A clock that was read before the reader's: the value is in the future, and not shown yet. */
static void test_future_is_not_shown(void)
{
    by_hand at;
    uint64_t total = 0;
    open_window(&at, 100 * MFI_NS_PER_S);
    mfi_window_record_at(&at.window, 0, 1000, 106 * MFI_NS_PER_S);
    mf_check_int(merged(&at, &total).count, 0);
    mf_check_int(total, 1);
    mfi_fake_clock_advance(&at.clock, 6 * MFI_NS_PER_S);
    mf_check_int(merged(&at, &total).count, 1);
    mfi_arena_heap_destroy(at.heap);
}

static void test_shards_are_summed(void)
{
    by_hand at;
    mf_distribution read = MF_DISTRIBUTION_INIT;
    open_window(&at, 100 * MFI_NS_PER_S);
    for (unsigned shard = 0; shard < MFI_SHARDS; shard++) {
        mfi_window_record_at(&at.window, shard, 2000000, 100 * MFI_NS_PER_S);
    }
    mf_window_read(&at.window, &read);
    mf_check_int(read.count, MFI_SHARDS);
    mf_check(fabs(read.sum - MFI_SHARDS * 0.002) < 1e-12);
    double middle =
        mfi_layout_middle(at.window.layout, mfi_layout_index_integer(at.window.layout, 2000000));
    mf_check(read.p50 == middle && read.p999 == middle);
    mfi_arena_heap_destroy(at.heap);
}

static void *give_nothing(void *self, size_t size)
{
    (void)size;
    ++*(int *)self;
    return NULL;
}

static void test_without_memory(void)
{
    by_hand at;
    int asked = 0;
    uint64_t total = 0;
    open_window(&at, 100 * MFI_NS_PER_S);
    mfi_arena heap = at.window.arena;
    at.window.arena = (mfi_arena){.allocate = give_nothing, .self = &asked};
    mf_window_record_ns(&at.window, 1000); /* no shard: it is not counted */
    mf_check_int(asked, 1);
    mf_check_int(merged(&at, &total).count, 0);
    mf_check_int(total, 0);
    at.window.arena = heap;
    mf_window_record_ns(&at.window, 1000);
    at.window.arena = (mfi_arena){.allocate = give_nothing, .self = &asked};
    mf_window_record_ns(&at.window, 1000000); /* no octave: it is counted as too large */
    mf_check_int(asked, 2);
    mfi_cells cells = merged(&at, &total);
    mf_check_int(cells.over, 1);
    mf_check_int(cells.count, 2);
    mf_check_int(total, 2);
    mfi_arena_heap_destroy(at.heap);
}

static const mf_test tests[] = {
    {"window__forgets_after_a_minute", test_window_forgets},
    {"window__slots_are_kept_for_twelve_more", test_slots_are_kept_for_twelve_more},
    {"window__slots_begin_empty", test_slots_begin_empty},
    {"window__future_is_not_shown", test_future_is_not_shown},
    {"window__shards_are_summed", test_shards_are_summed},
    {"window__without_memory_counts_what_it_can", test_without_memory},
};
MF_TEST_MAIN(tests)
