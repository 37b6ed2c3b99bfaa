/* Keeps exemplars without a lock. Several threads may write one place, so each place has a version
 * that is odd while a thread writes. Words are stored with release and loaded with acquire: a
 * reader that saw a word of a later writer sees that writer's version too, and reads again. */
#include "metrics/exemplars.h"

#include <string.h>

#define READS_MAX 4 /* attempts of a reader that writers get in the way of */
#define ID_WORDS ((MFI_EXEMPLAR_TRACE_SIZE + MFI_EXEMPLAR_SPAN_SIZE) / 8)

typedef struct place {
    _Atomic(uint32_t) version; /* 0: never written */
    _Atomic(uint64_t) integer, wall_ns, ids[ID_WORDS];
} place;

typedef struct places {
    place of[MFI_BOUNDS_MAX + 1];
} places;

/* The exposed bucket that counts the integer. */
static size_t bucket_of(const mfi_layout *layout, uint64_t integer)
{
    int cell = mfi_layout_index_integer(layout, integer);
    int end = cell < 0 ? 0 : cell / layout->cells_per_group + 1; /* in groups above the lowest */
    int first = layout->bound_first - layout->lowest_exponent;
    if (end <= first) {
        return 0;
    }
    size_t bucket = (size_t)((end - first + layout->bound_step - 1) / layout->bound_step);
    return bucket < layout->bound_count ? bucket : layout->bound_count;
}

static void store(_Atomic(uint64_t) *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t load(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

void mfi_exemplar_keep(mf_histogram *histogram, uint64_t integer, const char *trace_id,
                       const char *span_id, uint64_t wall_ns)
{
    uint64_t ids[ID_WORDS];
    if (strnlen(trace_id, MFI_EXEMPLAR_TRACE_SIZE + 1) != MFI_EXEMPLAR_TRACE_SIZE ||
        strnlen(span_id, MFI_EXEMPLAR_SPAN_SIZE + 1) != MFI_EXEMPLAR_SPAN_SIZE) {
        return;
    }
    places *all = mfi_made_on_use(&histogram->arena, &histogram->exemplars, sizeof *all);
    if (all == NULL) {
        return;
    }
    place *at = &all->of[bucket_of(histogram->layout, integer)];
    uint32_t version = atomic_load_explicit(&at->version, memory_order_relaxed);
    if (version % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&at->version, &version, version + 1,
                                                 memory_order_acquire, memory_order_relaxed)) {
        return;
    }
    memcpy(ids, trace_id, MFI_EXEMPLAR_TRACE_SIZE);
    memcpy((char *)ids + MFI_EXEMPLAR_TRACE_SIZE, span_id, MFI_EXEMPLAR_SPAN_SIZE);
    store(&at->integer, integer);
    store(&at->wall_ns, wall_ns);
    for (size_t i = 0; i < ID_WORDS; i++) {
        store(&at->ids[i], ids[i]);
    }
    atomic_store_explicit(&at->version, version + 2, memory_order_release);
}

static bool is_hex(const char *id, size_t size)
{
    return strspn(id, "0123456789abcdef") == size;
}

/* False if the place was never written, or a thread wrote it meanwhile. */
static bool read_once(const place *at, uint64_t *ret_integer, uint64_t *ret_wall_ns,
                      uint64_t ret_ids[ID_WORDS])
{
    uint32_t version = atomic_load_explicit(&at->version, memory_order_acquire);
    *ret_integer = load(&at->integer);
    *ret_wall_ns = load(&at->wall_ns);
    for (size_t i = 0; i < ID_WORDS; i++) {
        ret_ids[i] = load(&at->ids[i]);
    }
    return version != 0 && version % 2 == 0 &&
           version == atomic_load_explicit(&at->version, memory_order_relaxed);
}

bool mfi_exemplar_read(const mf_histogram *histogram, size_t bucket, mfi_exemplar *ret_exemplar)
{
    const places *all = atomic_load_explicit(&histogram->exemplars, memory_order_acquire);
    uint64_t integer = 0;
    uint64_t ids[ID_WORDS];
    bool found = false;
    for (int i = 0; all != NULL && !found && i < READS_MAX; i++) {
        found = read_once(&all->of[bucket], &integer, &ret_exemplar->wall_ns, ids);
    }
    if (!found) {
        return false;
    }
    memcpy(ret_exemplar->trace_id, ids, MFI_EXEMPLAR_TRACE_SIZE);
    memcpy(ret_exemplar->span_id, (char *)ids + MFI_EXEMPLAR_TRACE_SIZE, MFI_EXEMPLAR_SPAN_SIZE);
    ret_exemplar->trace_id[MFI_EXEMPLAR_TRACE_SIZE] = '\0';
    ret_exemplar->span_id[MFI_EXEMPLAR_SPAN_SIZE] = '\0';
    ret_exemplar->value = (double)integer / histogram->layout->unit;
    return is_hex(ret_exemplar->trace_id, MFI_EXEMPLAR_TRACE_SIZE) &&
           is_hex(ret_exemplar->span_id, MFI_EXEMPLAR_SPAN_SIZE);
}
