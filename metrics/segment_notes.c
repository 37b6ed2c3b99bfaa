/* What a worker notes in its segment beside numbers: what each handler thread runs, and its last
 * log lines. Both are a few copies without a lock, and a worker that is killed in the middle leaves
 * a note that the reader can tell from a whole one. Words are stored with release: a reader that
 * saw a word of a later note sees that note's version, or its place in the log, too. */
#include <string.h>

#include "base/str.h"
#include "metrics/segment_inside.h"

/* ---- Running calls ---- */

size_t mfi_segment_put_text(_Atomic(uint64_t) *words, size_t max, const char *text)
{
    size_t size = text != NULL ? strnlen(text, max + 1) : 0;
    size = size > max ? mfi_utf8_prefix(text, size, max) : size;
    size_t whole = size / 8;
    for (size_t i = 0; i < whole; i++) {
        uint64_t word;
        memcpy(&word, text + 8 * i, sizeof word);
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
    if (size % 8 != 0) {
        uint64_t word = 0;
        memcpy(&word, text + 8 * whole, size % 8);
        atomic_store_explicit(&words[whole], word, memory_order_release);
    }
    return size;
}

void mfi_segment_queue(mfi_segment *segment, int32_t calls, int64_t bytes)
{
    uint64_t both = (uint64_t)calls * MFI_SEGMENT_ONE_CALL + (uint64_t)bytes;
    atomic_fetch_add_explicit(&segment->head->waiting, both, memory_order_relaxed);
}

/* Returns the size of a text at its place among the sizes. */
static uint64_t put(mfi_segment_entry *entry, unsigned text, const char *from)
{
    return (uint64_t)mfi_segment_put_text(entry->words + mfi_segment_text_at[text],
                                          mfi_segment_text_max[text], from)
           << (8 * text);
}

/* The names of a function seldom change, so they are stored only when they do. */
static uint64_t put_names(mfi_segment_entry *entry, mfi_segment_names *last,
                          const mfi_segment_call *call)
{
    if (call->key == NULL || call->key != last->key) {
        last->sizes = put(entry, MFI_SEGMENT_TEXT_FUNCTION, call->function) |
                      put(entry, MFI_SEGMENT_TEXT_NAMESPACE, call->namespace_name);
        last->key = call->key;
    }
    return last->sizes;
}

static bool same_ids(const char *correlation_id, const char *trace_id)
{
    return correlation_id != NULL && trace_id != NULL && correlation_id[0] != '\0' &&
           strcmp(correlation_id, trace_id) == 0;
}

void mfi_segment_begin(mfi_segment *segment, unsigned number, const mfi_segment_call *call)
{
    if (segment == NULL || number >= MFI_SEGMENT_RUNNING) {
        return;
    }
    mfi_segment_entry *entry = &segment->head->running[number];
    uint64_t version = atomic_load_explicit(&entry->version, memory_order_relaxed) | 1;
    atomic_store_explicit(&entry->version, version, memory_order_relaxed);
    uint64_t sizes = put_names(entry, &segment->names[number], call);
    sizes |= put(entry, MFI_SEGMENT_TEXT_TRACE, call->trace_id);
    sizes |= put(entry, MFI_SEGMENT_TEXT_SPAN, call->span_id);
    sizes |= put(entry, MFI_SEGMENT_TEXT_REQUEST, call->request_id);
    sizes |= same_ids(call->correlation_id, call->trace_id)
                 ? MFI_SEGMENT_SAME_AS_TRACE << (8 * MFI_SEGMENT_TEXT_CORRELATION)
                 : put(entry, MFI_SEGMENT_TEXT_CORRELATION, call->correlation_id);
    atomic_store_explicit(&entry->sizes, sizes, memory_order_release);
    atomic_store_explicit(&entry->started_ns, call->started_ns, memory_order_release);
    atomic_store_explicit(&entry->version, version + 1, memory_order_release);
}

void mfi_segment_end(mfi_segment *segment, unsigned number)
{
    if (segment != NULL && number < MFI_SEGMENT_RUNNING) {
        atomic_store_explicit(&segment->head->running[number].started_ns, 0, memory_order_release);
    }
}

/* ---- Log ---- */

static _Atomic(char) *log_byte(mfi_segment *segment, uint64_t at)
{
    return &segment->head->log[at % MFI_SEGMENT_LOG_BYTES];
}

/* Gives up the oldest lines until there is room for `size` bytes. */
static void make_room(mfi_segment *segment, size_t size)
{
    uint64_t from = segment->log_from;
    while (from < segment->log_to && segment->log_to + size - from > MFI_SEGMENT_LOG_BYTES) {
        char byte = '\0';
        while (from < segment->log_to && byte != '\n') {
            byte = atomic_load_explicit(log_byte(segment, from), memory_order_relaxed);
            from++;
        }
    }
    segment->log_from = from;
    atomic_store_explicit(&segment->head->log_from, from, memory_order_relaxed);
}

void mfi_segment_log(mfi_segment *segment, const char *line, size_t size)
{
    size_t bare = size > 0 && line[size - 1] == '\n' ? size - 1 : size;
    if (segment == NULL || bare + 1 > MFI_SEGMENT_LOG_BYTES) {
        return;
    }
    make_room(segment, bare + 1);
    for (size_t i = 0; i < bare; i++) {
        atomic_store_explicit(log_byte(segment, segment->log_to + i), line[i],
                              memory_order_release);
    }
    atomic_store_explicit(log_byte(segment, segment->log_to + bare), '\n', memory_order_release);
    segment->log_to += bare + 1;
    atomic_store_explicit(&segment->head->log_to, segment->log_to, memory_order_release);
}
