/* The worker's side of a segment: makes and attaches it, and puts the cells of kept families there.
 * Blocks are only ever added, under a mutex on the heap; a block shows to the reader once it is
 * complete. The worker trusts no number that it reads back from the segment. */
#include "metrics/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/id.h"
#include "base/str.h"
#include "metrics/metric_set.h"
#include "metrics/segment_inside.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* ---- Making and attaching ---- */

static bool size_fits(uint64_t size)
{
    return size >= MFI_SEGMENT_BYTES_LEAST && size <= MFI_SEGMENT_BYTES_MOST &&
           size % MFI_SEGMENT_PAGE == 0;
}

static int fill(int fd, size_t size)
{
    int error = posix_fallocate(fd, 0, (off_t)size);
    if (error != 0) {
        return error;
    }
    mfi_segment_head *head =
        mmap(NULL, MFI_SEGMENT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) {
        return errno;
    }
    head->magic = MFI_SEGMENT_MAGIC;
    head->version = MFI_SEGMENT_VERSION;
    head->size = size;
    (void)munmap(head, MFI_SEGMENT_PAGE);
    return fcntl(fd, F_ADD_SEALS, SEALS) == 0 ? 0 : errno;
}

int mfi_segment_make(size_t size)
{
    size_t whole =
        size != 0 ? (size + MFI_SEGMENT_PAGE - 1) & ~(MFI_SEGMENT_PAGE - 1) : MFI_SEGMENT_BYTES;
    if (!size_fits(whole)) {
        errno = EINVAL;
        return -1;
    }
    int fd = memfd_create("multifrost-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int error = fd >= 0 ? fill(fd, whole) : 0;
    if (error != 0) {
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void mfi_segment_discard(int fd)
{
    struct stat found;
    if (fstat(fd, &found) == 0) {
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, found.st_size);
    }
}

bool mfi_segment_is_sealed(int fd, size_t *ret_size)
{
    struct stat found;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || (seals & F_SEAL_WRITE) != 0 ||
        fstat(fd, &found) != 0 || found.st_size < 0 || !size_fits((uint64_t)found.st_size)) {
        return false;
    }
    *ret_size = (size_t)found.st_size;
    return true;
}

/* A worker that comes second finds the version of the first one and is refused. */
static mfi_segment_attached judge(mfi_segment_head *head, size_t size)
{
    uint32_t none = 0;
    if (head->magic != MFI_SEGMENT_MAGIC ||
        !atomic_compare_exchange_strong_explicit(&head->worker_version, &none, MFI_SEGMENT_VERSION,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        return MFI_SEGMENT_REFUSED;
    }
    if (head->version != MFI_SEGMENT_VERSION) {
        return MFI_SEGMENT_OTHER_VERSION;
    }
    return head->size == size ? MFI_SEGMENT_ATTACHED : MFI_SEGMENT_REFUSED;
}

/* Takes the mapping if there is a result. */
static mfi_segment *make_segment(mfi_segment_head *head, size_t size)
{
    mfi_segment *segment = calloc(1, sizeof *segment);
    size_t room = mfi_segment_blocks_size(size);
    unsigned char *lost = calloc(1, room / MFI_SEGMENT_LINE / 8 + 1);
    if (segment == NULL || lost == NULL || !mfi_fork_cover(head, size)) {
        free(segment);
        free(lost);
        return NULL;
    }
    mfi_mutex_init(&segment->mutex);
    segment->head = head;
    segment->size = size;
    segment->room = room;
    segment->lost = lost;
    return segment;
}

mfi_segment_attached mfi_segment_attach(int fd, mfi_segment **ret_segment)
{
    size_t size = 0;
    *ret_segment = NULL;
    if (!mfi_segment_is_sealed(fd, &size)) {
        return MFI_SEGMENT_REFUSED;
    }
    mfi_segment_head *head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (head == MAP_FAILED) {
        return MFI_SEGMENT_REFUSED;
    }
    mfi_segment_attached result = judge(head, size);
    if (result == MFI_SEGMENT_ATTACHED) {
        *ret_segment = make_segment(head, size);
        result = *ret_segment != NULL ? result : MFI_SEGMENT_REFUSED;
    }
    if (*ret_segment == NULL) {
        (void)munmap(head, size);
    }
    return result;
}

void mfi_segment_detach(mfi_segment *segment)
{
    if (segment == NULL) {
        return;
    }
    mfi_fork_uncover(segment->head);
    (void)munmap(segment->head, segment->size);
    mfi_mutex_fini(&segment->mutex);
    free(segment->lost);
    free(segment);
}

/* ---- Blocks ---- */

/* A block's payload, not yet shown to the reader; NULL if the segment is full. */
static void *begin_block_locked(mfi_segment *segment, size_t payload, unsigned kind,
                                unsigned series, mfi_cells_tag tag)
{
    size_t size = mfi_segment_block_size(payload);
    if (segment->room - segment->used < size) {
        return NULL;
    }
    unsigned char *at = segment->head->blocks + segment->used;
    mfi_segment_block *block = (mfi_segment_block *)(void *)at;
    atomic_store_explicit(&block->size, (uint32_t)size, memory_order_relaxed);
    atomic_store_explicit(&block->series, series, memory_order_relaxed);
    atomic_store_explicit(&block->kind, (uint8_t)kind, memory_order_relaxed);
    atomic_store_explicit(&block->shard, (uint8_t)tag.shard, memory_order_relaxed);
    atomic_store_explicit(&block->octave, (uint8_t)tag.octave, memory_order_relaxed);
    segment->used += size;
    return at + size - payload;
}

static void show_blocks_locked(mfi_segment *segment)
{
    atomic_store_explicit(&segment->head->used, segment->used, memory_order_release);
}

static void count_lost(mfi_segment *segment)
{
    atomic_fetch_add_explicit(&segment->head->lost_series, 1, memory_order_relaxed);
}

/* A series is lost once, however many of its cells find no room. */
static void lose_cells_locked(mfi_segment *segment, unsigned series)
{
    unsigned char bit = (unsigned char)(1u << series % 8);
    if ((segment->lost[series / 8] & bit) == 0) {
        segment->lost[series / 8] |= bit;
        count_lost(segment);
    }
}

/* ---- Kept families ---- */

typedef struct kept {
    mfi_segment *segment;
    mfi_segment_place place;
    mfi_arena heap;
} kept;

static void *allocate_on_heap(void *self, size_t size)
{
    kept *at = self;
    return at->heap.allocate(at->heap.self, size);
}

static void *allocate_cells(void *self, size_t size, unsigned series, mfi_cells_tag tag)
{
    kept *at = self;
    mfi_segment *segment = at->segment;
    mfi_mutex_lock(&segment->mutex);
    void *cells = begin_block_locked(segment, size, tag.kind, series, tag);
    if (cells != NULL) {
        show_blocks_locked(segment);
    } else {
        lose_cells_locked(segment, series);
    }
    mfi_mutex_unlock(&segment->mutex);
    return cells != NULL ? cells : allocate_on_heap(at, size);
}

static uint32_t word_of(const mfi_segment_place *place, char *const *values)
{
    for (size_t i = 0; place->word >= 0 && i < place->word_count; i++) {
        if (strcmp(place->words[i], values[place->word]) == 0) {
            return (uint32_t)i;
        }
    }
    return MFI_SEGMENT_NO_WORD;
}

/* The number of the new series, or -1 if the segment is full. */
static int64_t add_series_locked(kept *at, char *const *values, uint32_t cell)
{
    mfi_segment *segment = at->segment;
    unsigned number = segment->series;
    mfi_segment_series *series = begin_block_locked(segment, sizeof *series, MFI_SEGMENT_SERIES,
                                                    number, (mfi_cells_tag){.shard = 0});
    if (series == NULL) {
        return -1;
    }
    const char *function = at->place.function >= 0 ? values[at->place.function] : "";
    atomic_store_explicit(&series->family, at->place.family, memory_order_relaxed);
    atomic_store_explicit(&series->word, word_of(&at->place, values), memory_order_relaxed);
    atomic_store_explicit(&series->cell, cell, memory_order_relaxed);
    size_t size = mfi_segment_put_text(series->function, MFI_SEGMENT_FUNCTION_MAX, function);
    atomic_store_explicit(&series->function_size, (uint32_t)size, memory_order_relaxed);
    show_blocks_locked(segment);
    segment->series++;
    return number;
}

static bool take_cell_locked(mfi_segment *segment)
{
    if (segment->page == NULL || segment->page_used == MFI_PAGE_COUNTERS) {
        mfi_counter_page *page = begin_block_locked(segment, sizeof *page, MFI_CELLS_COUNTERS, 0,
                                                    (mfi_cells_tag){.shard = 0});
        if (page == NULL) {
            return false;
        }
        show_blocks_locked(segment);
        segment->page = page;
        segment->pages++;
        segment->page_used = 0;
    }
    return true;
}

bool mfi_segment_make_counter(void *in, mf_counter *counter, char *const *values)
{
    kept *at = in;
    mfi_segment *segment = at->segment;
    mfi_mutex_lock(&segment->mutex);
    bool made = take_cell_locked(segment);
    if (made) {
        uint32_t cell = (segment->pages - 1) * MFI_PAGE_COUNTERS + segment->page_used;
        made = add_series_locked(at, values, cell) >= 0;
    }
    if (made) {
        counter->page = segment->page;
        counter->index = segment->page_used++;
    } else {
        count_lost(segment);
    }
    mfi_mutex_unlock(&segment->mutex);
    return made;
}

void mfi_segment_make_histogram(void *in, mf_histogram *histogram, char *const *values)
{
    kept *at = in;
    mfi_mutex_lock(&at->segment->mutex);
    int64_t number = add_series_locked(at, values, 0);
    mfi_mutex_unlock(&at->segment->mutex);
    if (number >= 0) {
        histogram->arena = (mfi_arena){.allocate = allocate_on_heap,
                                       .self = at,
                                       .cells = allocate_cells,
                                       .series = (unsigned)number};
    } else {
        count_lost(at->segment);
    }
}

bool mfi_segment_keep(mfi_segment *segment, mf_family *family, const mfi_segment_place *place)
{
    int labels = (int)family->label_count;
    bool counts = family->type == MF_METRIC_COUNTER || family->type == MF_METRIC_HISTOGRAM;
    if (segment == NULL) {
        return true;
    }
    if (!counts || place->function >= labels || place->word >= labels ||
        place->word_count >= MFI_SEGMENT_NO_WORD) {
        return false;
    }
    kept *made = malloc(sizeof *made);
    if (made == NULL) {
        return false;
    }
    *made = (kept){.segment = segment, .place = *place, .heap = family->metrics->arena};
    if (!mfi_family_keep_in(family, made)) {
        free(made);
        return false;
    }
    return true;
}

void mfi_segment_set(mfi_segment *segment, mfi_segment_gauge gauge, uint64_t value)
{
    if (segment != NULL) {
        atomic_store_explicit(&segment->head->gauges[gauge], value, memory_order_relaxed);
    }
}
