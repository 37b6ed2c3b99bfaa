/* The parent's side of a segment. A worker may have written any bytes, and may write while the
 * parent reads. So each number is loaded once, then bounded, then used; the description of a block
 * is copied to the heap when the block is first seen; and every cell is compared with what it
 * was at the last reading. */
#include "metrics/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pages.h"
#include "base/str.h"
#include "metrics/segment_layout.h"

#define READS_MAX 4                     /* attempts of a reader that a writer gets in the way of */
#define CELL_MOST (UINT64_C(1) << 61)   /* in nanoseconds: 73 years of one thread */
#define SERIES_MOST (UINT64_C(1) << 62) /* of all that is reported of one series */
#define LOST_MOST UINT64_C(1000000)     /* more than a set of metrics has series */
#define NO_BLOCK UINT32_MAX

/* Blocks of cells of one histogram are chained. */
typedef struct block {
    uint32_t offset; /* of the payload in the segment */
    uint32_t next;
    uint8_t kind, octave;
} block;

typedef struct series {
    uint8_t family; /* 0: broken */
    bool seen;      /* reported before */
    uint32_t word, cell, first_block;
    uint64_t count, sum; /* reported in total */
    char function[MFI_SEGMENT_FUNCTION_MAX + 1];
} series;

struct mfi_segment_reader {
    const mfi_segment_head *head;
    size_t size, room; /* bytes of the segment, and of its blocks */
    size_t parsed;     /* bytes of blocks that are known */
    uint64_t ignored;
    uint32_t block_count, series_count, page_count;
    /* One piece of memory for all; pages that are never used cost nothing. */
    size_t memory_size;
    block *blocks;
    series *series;
    uint32_t *pages;  /* offsets of the counters' pages in the segment */
    uint64_t *before; /* the segment's words as they were read last */
    char *log, *shown;
    mfi_cells cells;
};

static uint64_t load(const _Atomic(uint64_t) *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Copies a text of a worker: whole characters, U+FFFD for malformed UTF-8, up to a NUL. */
static void copy_clean(char *to, size_t to_size, const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    if (mfi_utf8_valid(text, length)) {
        (void)mfi_str_copy_n(to, to_size, text, length);
        return;
    }
    mfi_buf clean;
    mfi_buf_init(&clean, 0);
    mfi_utf8_append_clean(&clean, text, length);
    (void)mfi_str_copy_n(to, to_size, clean.failed ? "" : (const char *)clean.data,
                         clean.failed ? 0 : clean.size);
    mfi_buf_fini(&clean);
}

/* ---- Opening ---- */

static size_t lines(size_t size)
{
    return (size + MFI_SEGMENT_LINE - 1) & ~(MFI_SEGMENT_LINE - 1);
}

/* Room for as many blocks of each kind as the segment can hold. */
static bool make_tables(mfi_segment_reader *reader)
{
    size_t blocks = lines(reader->room / MFI_SEGMENT_LINE * sizeof(block));
    size_t all_series =
        lines(reader->room / mfi_segment_block_size(sizeof(mfi_segment_series)) * sizeof(series));
    size_t pages =
        lines(reader->room / mfi_segment_block_size(sizeof(mfi_counter_page)) * sizeof(uint32_t));
    size_t before = lines(reader->size);
    size_t shown = lines(4 * MFI_SEGMENT_LOG_BYTES + 1); /* a byte becomes "\x1b" */
    reader->memory_size = blocks + all_series + pages + before + MFI_SEGMENT_LOG_BYTES + shown;
    char *memory = mfi_pages_allocate(reader->memory_size);
    if (memory == NULL) {
        return false;
    }
    reader->blocks = (block *)(void *)memory;
    reader->series = (series *)(void *)(memory + blocks);
    reader->pages = (uint32_t *)(void *)(memory + blocks + all_series);
    reader->before = (uint64_t *)(void *)(memory + blocks + all_series + pages);
    reader->log = memory + blocks + all_series + pages + before;
    reader->shown = reader->log + MFI_SEGMENT_LOG_BYTES;
    return true;
}

mfi_segment_reader *mfi_segment_open(int fd)
{
    size_t size = 0;
    if (!mfi_segment_is_sealed(fd, &size)) {
        errno = EINVAL;
        return NULL;
    }
    mfi_segment_reader *reader = calloc(1, sizeof *reader);
    void *mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED && reader != NULL) {
        reader->head = mapped;
        reader->size = size;
        reader->room = mfi_segment_blocks_size(size);
        if (make_tables(reader)) {
            return reader;
        }
    }
    if (mapped != MAP_FAILED) {
        (void)munmap(mapped, size);
    }
    free(reader);
    errno = ENOMEM;
    return NULL;
}

void mfi_segment_close(mfi_segment_reader *reader)
{
    if (reader != NULL) {
        (void)munmap((void *)(uintptr_t)reader->head, reader->size);
        mfi_pages_free(reader->blocks, reader->memory_size);
        free(reader);
    }
}

/* ---- Blocks ---- */

static const void *at_offset(const mfi_segment_reader *reader, size_t offset)
{
    return (const char *)reader->head + offset;
}

/* A broken series keeps its number, so that the numbers of the others stay right. */
static void learn_series(mfi_segment_reader *reader, size_t payload)
{
    const mfi_segment_series *from = at_offset(reader, payload);
    series *made = &reader->series[reader->series_count++];
    uint32_t family = atomic_load_explicit(&from->family, memory_order_relaxed);
    size_t size = atomic_load_explicit(&from->function_size, memory_order_relaxed);
    uint64_t words[MFI_SEGMENT_FUNCTION_MAX / 8];
    made->first_block = NO_BLOCK;
    if (family == 0 || family >= MFI_SEGMENT_FAMILY_END || size > MFI_SEGMENT_FUNCTION_MAX) {
        reader->ignored++;
        return;
    }
    for (size_t i = 0; i < MFI_SEGMENT_FUNCTION_MAX / 8; i++) {
        words[i] = load(&from->function[i]);
    }
    made->family = (uint8_t)family;
    made->word = atomic_load_explicit(&from->word, memory_order_relaxed);
    made->cell = atomic_load_explicit(&from->cell, memory_order_relaxed);
    made->word = made->word < MFI_SEGMENT_NO_WORD ? made->word : MFI_SEGMENT_NO_WORD;
    copy_clean(made->function, sizeof made->function, (const char *)words, size);
}

static bool is_histogram(unsigned family)
{
    return family == MFI_SEGMENT_DURATION || family == MFI_SEGMENT_QUEUE_WAIT;
}

static void learn_cells(mfi_segment_reader *reader, unsigned kind, unsigned octave, uint32_t number,
                        size_t payload)
{
    bool in_range =
        kind == MFI_CELLS_EDGES || octave < (unsigned)mfi_layout_of(MF_SCALE_DURATION)->octaves;
    if (number >= reader->series_count || !is_histogram(reader->series[number].family) ||
        !in_range) {
        reader->ignored++;
        return;
    }
    series *of = &reader->series[number];
    reader->blocks[reader->block_count] = (block){.offset = (uint32_t)payload,
                                                  .next = of->first_block,
                                                  .kind = (uint8_t)kind,
                                                  .octave = (uint8_t)octave};
    of->first_block = reader->block_count++;
}

static size_t payload_of(unsigned kind)
{
    switch (kind) {
    case MFI_CELLS_COUNTERS:
        return sizeof(mfi_counter_page);
    case MFI_CELLS_EDGES:
        return sizeof(mfi_edges);
    case MFI_CELLS_OCTAVE:
        return sizeof(mfi_octave);
    case MFI_SEGMENT_SERIES:
        return sizeof(mfi_segment_series);
    default:
        return 0;
    }
}

/* Returns the block's size; 0: nothing behind it can be found. */
static size_t learn_block(mfi_segment_reader *reader, size_t offset, size_t left)
{
    const mfi_segment_block *from = at_offset(reader, offset);
    size_t size = atomic_load_explicit(&from->size, memory_order_relaxed);
    unsigned kind = atomic_load_explicit(&from->kind, memory_order_relaxed);
    size_t payload = payload_of(kind);
    if (size == 0 || size % MFI_SEGMENT_LINE != 0 || size > left) {
        return 0;
    }
    if (payload == 0 || size != mfi_segment_block_size(payload)) {
        reader->ignored++;
        return size;
    }
    size_t at = offset + size - payload;
    if (kind == MFI_SEGMENT_SERIES) {
        learn_series(reader, at);
    } else if (kind == MFI_CELLS_COUNTERS) {
        reader->pages[reader->page_count++] = (uint32_t)at;
    } else {
        learn_cells(reader, kind, atomic_load_explicit(&from->octave, memory_order_relaxed),
                    atomic_load_explicit(&from->series, memory_order_relaxed), at);
    }
    return size;
}

static void learn_blocks(mfi_segment_reader *reader)
{
    uint64_t used = load(&reader->head->used);
    size_t end = used < reader->room ? (size_t)used & ~(MFI_SEGMENT_LINE - 1) : reader->room;
    while (reader->parsed < end) {
        size_t size =
            learn_block(reader, sizeof(mfi_segment_head) + reader->parsed, end - reader->parsed);
        if (size == 0) {
            reader->ignored++;
            reader->parsed = reader->room; /* for ever */
        }
        reader->parsed += size;
    }
}

/* ---- Differences ---- */

/* What the cell has gained. A cell that went backwards has gained nothing, and counts from there.
 */
static uint64_t gain(mfi_segment_reader *reader, size_t offset)
{
    const _Atomic(uint64_t) *cell = at_offset(reader, offset);
    uint64_t now = atomic_load_explicit(cell, memory_order_relaxed);
    uint64_t *before = &reader->before[offset / 8];
    uint64_t was = *before;
    *before = now;
    if (now < was || (now != was && now > CELL_MOST)) {
        reader->ignored++;
        return 0;
    }
    return now - was;
}

/* Adds to a total that stays within reason; returns what may be reported of it. */
static uint64_t bounded(mfi_segment_reader *reader, uint64_t *total, uint64_t more)
{
    if (more > SERIES_MOST - *total) {
        reader->ignored++;
        return 0;
    }
    *total += more;
    return more;
}

/* Both are at most SERIES_MOST + 1, and so is the result. */
static uint64_t capped_sum(uint64_t a, uint64_t b)
{
    return a + b <= SERIES_MOST ? a + b : SERIES_MOST + 1;
}

static uint64_t counter_gain(mfi_segment_reader *reader, const series *of)
{
    uint32_t page = of->cell / MFI_PAGE_COUNTERS;
    uint64_t sum = 0;
    if (page >= reader->page_count) {
        return 0;
    }
    size_t offset = reader->pages[page] + of->cell % MFI_PAGE_COUNTERS * sizeof(uint64_t);
    for (size_t s = 0; s < MFI_SHARDS; s++) {
        sum = capped_sum(sum, gain(reader, offset + s * MFI_PAGE_COUNTERS * sizeof(uint64_t)));
    }
    return sum;
}

/* Fills reader->cells, but for its sum. Returns the sum. */
static uint64_t histogram_gain(mfi_segment_reader *reader, const series *of)
{
    mfi_cells *cells = &reader->cells;
    uint64_t sum = 0;
    *cells = (mfi_cells){0};
    for (uint32_t b = of->first_block; b != NO_BLOCK; b = reader->blocks[b].next) {
        const block *at = &reader->blocks[b];
        size_t first = at->offset + sizeof(uint64_t); /* the sum comes first in both kinds */
        sum = capped_sum(sum, gain(reader, at->offset));
        if (at->kind == MFI_CELLS_EDGES) {
            cells->under = capped_sum(cells->under, gain(reader, first));
            cells->over = capped_sum(cells->over, gain(reader, first + sizeof(uint64_t)));
            continue;
        }
        uint64_t *to = &cells->cells[(size_t)at->octave * MFI_CELLS_PER_OCTAVE];
        for (size_t c = 0; c < MFI_CELLS_PER_OCTAVE; c++) {
            to[c] = capped_sum(to[c], gain(reader, first + c * sizeof(uint64_t)));
        }
    }
    cells->count = capped_sum(cells->under, cells->over);
    for (int c = 0; c < MFI_CELLS_MAX; c++) {
        cells->count = capped_sum(cells->count, cells->cells[c]);
    }
    return sum;
}

static void collect_series(mfi_segment_reader *reader, series *of, mfi_segment_delta *delta)
{
    const mfi_layout *layout = mfi_layout_of(MF_SCALE_DURATION);
    if (!delta->is_histogram) {
        delta->count = bounded(reader, &of->count, counter_gain(reader, of));
        return;
    }
    delta->sum = bounded(reader, &of->sum, histogram_gain(reader, of));
    if (bounded(reader, &of->count, reader->cells.count) != reader->cells.count) {
        reader->cells = (mfi_cells){0};
        delta->sum = 0;
    }
    reader->cells.sum = (double)delta->sum / layout->unit;
    delta->cells = &reader->cells;
}

void mfi_segment_collect(mfi_segment_reader *reader,
                         void (*visit)(const mfi_segment_delta *delta, void *user_data),
                         void *user_data)
{
    learn_blocks(reader);
    for (uint32_t i = 0; i < reader->series_count; i++) {
        series *of = &reader->series[i];
        mfi_segment_delta delta = {.family = (mfi_segment_family)of->family,
                                   .function = of->function,
                                   .word = of->word,
                                   .is_histogram = is_histogram(of->family)};
        if (of->family == 0) {
            continue;
        }
        collect_series(reader, of, &delta);
        bool grew =
            delta.count > 0 || delta.sum > 0 || (delta.cells != NULL && delta.cells->count > 0);
        if (grew || !of->seen) {
            of->seen = true;
            visit(&delta, user_data);
        }
    }
}

void mfi_segment_read(const mfi_segment_reader *reader, mfi_segment_facts *ret_facts)
{
    const mfi_segment_head *head = reader->head;
    uint64_t lost = load(&head->lost_series);
    *ret_facts = (mfi_segment_facts){
        .worker_version = atomic_load_explicit(&head->worker_version, memory_order_relaxed),
        .lost_series = lost < LOST_MOST ? lost : LOST_MOST,
        .ignored = reader->ignored};
    for (size_t i = 0; i < MFI_SEGMENT_GAUGES; i++) {
        ret_facts->gauges[i] = load(&head->gauges[i]);
    }
    uint64_t waiting = load(&head->waiting);
    ret_facts->waiting = waiting / MFI_SEGMENT_ONE_CALL;
    ret_facts->waiting_bytes = waiting % MFI_SEGMENT_ONE_CALL;
}

/* ---- Running calls ---- */

typedef struct copied {
    uint64_t started_ns, sizes, words[MFI_SEGMENT_TEXT_WORDS];
} copied;

/* False if the handler thread writes, or wrote meanwhile. */
static bool copy_entry(const mfi_segment_entry *entry, copied *to)
{
    uint64_t version = load(&entry->version);
    to->started_ns = load(&entry->started_ns);
    if (version % 2 != 0) {
        return false;
    }
    if (to->started_ns == 0) {
        return true;
    }
    to->sizes = load(&entry->sizes);
    for (size_t i = 0; i < MFI_SEGMENT_TEXT_WORDS; i++) {
        to->words[i] = load(&entry->words[i]);
    }
    return atomic_load_explicit(&entry->version, memory_order_relaxed) == version;
}

static void clean_entry(const copied *from, mfi_segment_running *to)
{
    struct {
        char *text;
        size_t size;
    } const texts[MFI_SEGMENT_TEXTS] = {
        [MFI_SEGMENT_TEXT_FUNCTION] = {to->function, sizeof to->function},
        [MFI_SEGMENT_TEXT_CORRELATION] = {to->correlation_id, sizeof to->correlation_id},
        [MFI_SEGMENT_TEXT_TRACE] = {to->trace_id, sizeof to->trace_id},
        [MFI_SEGMENT_TEXT_SPAN] = {to->span_id, sizeof to->span_id},
        [MFI_SEGMENT_TEXT_REQUEST] = {to->request_id, sizeof to->request_id},
        [MFI_SEGMENT_TEXT_NAMESPACE] = {to->namespace_name, sizeof to->namespace_name}};
    for (size_t i = 0; i < MFI_SEGMENT_TEXTS; i++) {
        size_t size = from->sizes >> (8 * i) & 0xff;
        bool is_same = i == MFI_SEGMENT_TEXT_CORRELATION && size == MFI_SEGMENT_SAME_AS_TRACE;
        size_t of = is_same ? (size_t)MFI_SEGMENT_TEXT_TRACE : i;
        size_t most = mfi_segment_text_max[of];
        size = from->sizes >> (8 * of) & 0xff;
        copy_clean(texts[i].text, texts[i].size,
                   (const char *)&from->words[mfi_segment_text_at[of]], size < most ? size : most);
    }
    to->started_ns = from->started_ns;
}

size_t mfi_segment_read_running(const mfi_segment_reader *reader, mfi_segment_running *ret_running,
                                size_t most)
{
    size_t count = 0;
    for (unsigned i = 0; i < MFI_SEGMENT_RUNNING && count < most; i++) {
        copied entry;
        bool whole = false;
        for (int tries = 0; tries < READS_MAX && !whole; tries++) {
            whole = copy_entry(&reader->head->running[i], &entry);
        }
        if (whole && entry.started_ns != 0) {
            ret_running[count].number = i;
            clean_entry(&entry, &ret_running[count++]);
        }
    }
    return count;
}

/* ---- Log ---- */

void mfi_segment_read_log(mfi_segment_reader *reader,
                          void (*line)(const char *line, size_t size, void *user_data),
                          void *user_data)
{
    const mfi_segment_head *head = reader->head;
    uint64_t to = 0;
    uint64_t from = 1;
    for (int tries = 0; tries < READS_MAX && from > to; tries++) {
        to = load(&head->log_to);
        from = load(&head->log_from); /* beyond `to` once all those lines are given up */
    }
    if (from > to || to - from > MFI_SEGMENT_LOG_BYTES) {
        return;
    }
    size_t size = (size_t)(to - from);
    for (size_t i = 0; i < size; i++) {
        reader->log[i] = atomic_load_explicit(&head->log[(from + i) % MFI_SEGMENT_LOG_BYTES],
                                              memory_order_acquire);
    }
    /* A writer gives up lines before it writes over them. */
    uint64_t given_up = atomic_load_explicit(&head->log_from, memory_order_relaxed) - from;
    const char *at = reader->log + (given_up < size ? (size_t)given_up : size);
    const char *end = reader->log + size;
    const char *newline = NULL;
    while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        size_t length = mfi_str_copy_visible(reader->shown, 4 * MFI_SEGMENT_LOG_BYTES + 1, at,
                                             (size_t)(newline - at));
        line(reader->shown, length, user_data);
        at = newline + 1;
    }
}
