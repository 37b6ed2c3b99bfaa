/* Writes the table of calls. It exists so that a call that hangs can be seen while it hangs, and
 * its story read when it has ended, at the price of some stores for each call. */
#include "core/observe/recorder.h"

#include <endian.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "core/observe/recorder_inside.h"
#include "core/observe/statuses.h"
#include "metrics/shard.h"

#define TRIES 8             /* entries that a call looks at */
#define CHUNKS_RESERVED 16u /* for threads that make their first call */
#define PHASE_BITS 8u

_Static_assert(MFI_LANES == MFI_SHARED_SHARD + MFI_SHARED_LANES,
               "each shard that a thread owns has a lane, and the shared lanes follow");

/* ---- Entries ---- */

/* Takes a chunk unless `left` or fewer are free. */
static mfi_chunk *take_chunk(mfi_recorder *recorder, size_t left)
{
    size_t used = atomic_load_explicit(&recorder->chunks_used, memory_order_relaxed);
    while (used + left < recorder->chunk_count) {
        if (atomic_compare_exchange_weak_explicit(&recorder->chunks_used, &used, used + 1,
                                                  memory_order_release, memory_order_relaxed)) {
            return &recorder->chunks[used];
        }
    }
    return NULL;
}

static mfi_open_phase phase_of(uint64_t progress)
{
    return (mfi_open_phase)(progress & ((1u << PHASE_BITS) - 1));
}

/* The next entry of the lane. A lane grows when it has gone round, up to half of the table in all:
 * so the last calls of a program with one thread fill that half. */
static mfi_recorder_entry *step(mfi_recorder *recorder, mfi_lane *lane)
{
    if (++lane->at == MFI_CHUNK_ENTRIES) {
        lane->at = 0;
        mfi_chunk *fresh = lane->current->next == lane->first
                               ? take_chunk(recorder, recorder->chunk_count / 2)
                               : NULL;
        if (fresh != NULL) {
            fresh->next = lane->first;
            lane->current->next = fresh;
        }
        lane->current = lane->current->next;
    }
    return &lane->current->entries[lane->at];
}

/* All entries that were looked at are open: puts a chunk behind the present one. */
static mfi_recorder_entry *grow(mfi_recorder *recorder, mfi_lane *lane)
{
    size_t left = recorder->chunk_count > (size_t)2 * CHUNKS_RESERVED ? CHUNKS_RESERVED : 0;
    mfi_chunk *fresh = take_chunk(recorder, lane->first != NULL ? left : 0);
    if (fresh == NULL) {
        return NULL;
    }
    if (lane->first == NULL) {
        lane->first = fresh;
        fresh->next = fresh;
    } else {
        fresh->next = lane->current->next;
        lane->current->next = fresh;
    }
    lane->current = fresh;
    lane->at = 0;
    return &fresh->entries[0];
}

static mfi_recorder_entry *find_entry(mfi_recorder *recorder, mfi_lane *lane)
{
    for (int i = 0; lane->first != NULL && i < TRIES; i++) {
        mfi_recorder_entry *entry = step(recorder, lane);
        /* Acquire: the thread that ended the call has written its last word. */
        mfi_open_phase phase =
            phase_of(atomic_load_explicit(&entry->progress, memory_order_acquire));
        if (phase == MFI_OPEN_ENDED) {
            uint64_t before = atomic_load_explicit(&lane->overwritten, memory_order_relaxed);
            atomic_store_explicit(&lane->overwritten, before + 1, memory_order_relaxed);
        }
        if (phase == MFI_OPEN_ENDED || phase == MFI_OPEN_FREE) {
            return entry;
        }
    }
    return grow(recorder, lane);
}

static bool try_lane(mfi_lane *lane)
{
    return !atomic_load_explicit(&lane->taken, memory_order_relaxed) &&
           !atomic_exchange_explicit(&lane->taken, true, memory_order_acquire);
}

/* A thread that owns no shard tries the shared lanes in turn. It waits for none. */
static mfi_recorder_entry *take_shared(mfi_recorder *recorder, uint64_t *ret_version)
{
    static _Thread_local char own; /* its address tells threads apart */
    size_t first = (size_t)((uintptr_t)&own >> 12) * 31;
    for (size_t i = 0; i < MFI_SHARED_LANES; i++) {
        mfi_lane *lane = &recorder->lanes[MFI_SHARED_SHARD + (first + i) % MFI_SHARED_LANES];
        if (try_lane(lane)) {
            mfi_recorder_entry *entry = find_entry(recorder, lane);
            if (entry != NULL) { /* from here on other threads pass it by */
                *ret_version = atomic_load_explicit(&entry->version, memory_order_relaxed);
                atomic_store_explicit(&entry->version, *ret_version + 1, memory_order_relaxed);
                uint64_t turn =
                    (atomic_load_explicit(&entry->progress, memory_order_relaxed) >> PHASE_BITS);
                mfi_word_store(&entry->progress, turn << PHASE_BITS | MFI_OPEN_QUEUED);
            }
            atomic_store_explicit(&lane->taken, false, memory_order_release);
            if (entry != NULL) {
                return entry;
            }
        }
    }
    return NULL;
}

/* Takes an entry, and makes its version odd. */
static mfi_recorder_entry *take_entry(mfi_recorder *recorder, unsigned shard, uint64_t *ret_version)
{
    if (__builtin_expect(shard == MFI_SHARED_SHARD, 0)) {
        return take_shared(recorder, ret_version);
    }
    mfi_recorder_entry *entry = find_entry(recorder, &recorder->lanes[shard]);
    if (entry != NULL) {
        *ret_version = atomic_load_explicit(&entry->version, memory_order_relaxed);
        atomic_store_explicit(&entry->version, *ret_version + 1, memory_order_relaxed);
    }
    return entry;
}

/* ---- Words ---- */

/* The last bytes of a text, fewer than 8, as a word whose other bytes are NUL. It is made in a
 * register: bytes that are stored and then loaded as a word cost several times as much. */
static uint64_t last_word(const char *text, size_t length)
{
    uint64_t word = 0;
    while (length > 0) {
        word = word << 8 | (unsigned char)text[--length];
    }
    return htole64(word);
}

/* Stores a text of `length` bytes in whole words; returns the word behind. */
static size_t put_text(_Atomic(uint64_t) *to, size_t at, const char *text, size_t length)
{
    uint64_t word = 0;
    for (; length >= sizeof word; length -= sizeof word, text += sizeof word) {
        memcpy(&word, text, sizeof word);
        mfi_word_store(&to[at++], word);
    }
    if (length > 0) {
        mfi_word_store(&to[at++], last_word(text, length));
    }
    return at;
}

/* The buffers of the ids are larger than the words, which end with NUL or are full. */
static void put_id(_Atomic(uint64_t) *to, const char *id, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        uint64_t word = 0;
        memcpy(&word, id + i * sizeof word, sizeof word);
        mfi_word_store(&to[i], word);
    }
}

static void put_request_id(_Atomic(uint64_t) *words, const char *id)
{
    const size_t behind = MF_REQUEST_ID_MAX - sizeof(uint64_t);
    uint64_t last = 0;
    put_id(&words[MFI_WORD_REQUEST], id, 4);
    memcpy(&last, id + behind, sizeof last);
    mfi_word_store(&words[MFI_WORD_REQUEST + 4],
                   htole64(le64toh(last) >> 8 * (4 * sizeof last - behind)));
}

/* A call that was given no id of its own has the same text in both places. Bytes behind a shorter
 * id are read too: they decide nothing, because the text before them differs. */
static bool is_trace_id(const mf_context *context)
{
    uint64_t difference = 0;
    for (size_t i = 0; i < MF_TRACE_ID_MAX / sizeof difference; i++) {
        uint64_t a = 0;
        uint64_t b = 0;
        memcpy(&a, context->correlation_id + i * sizeof a, sizeof a);
        memcpy(&b, context->trace_id + i * sizeof b, sizeof b);
        difference |= a ^ b;
    }
    return difference == 0 && context->correlation_id[MF_TRACE_ID_MAX - 1] == '\0';
}

static void put_texts(_Atomic(uint64_t) *words, const mf_context *context,
                      const char *namespace_name, const mfi_recorded_names *names)
{
    size_t at = MFI_WORD_TEXTS;
    for (uint32_t i = 0; i < names->count; i++) {
        mfi_word_store(&words[at++], names->words[i]);
    }
    uint64_t lengths = names->lengths | (uint64_t)names->count << MFI_LENGTH_WORDS;
    if (namespace_name != NULL) {
        size_t length = strnlen(namespace_name, MFI_RECORD_NAMESPACE_MAX + 1);
        if (__builtin_expect(length > MFI_RECORD_NAMESPACE_MAX, 0)) {
            length = mfi_utf8_prefix(namespace_name, length, MFI_RECORD_NAMESPACE_MAX);
        }
        lengths |= (uint64_t)length << MFI_LENGTH_NAMESPACE;
        at = put_text(words, at, namespace_name, length);
    }
    if (is_trace_id(context)) {
        lengths |= (uint64_t)MFI_SAME_AS_TRACE << MFI_LENGTH_CORRELATION;
    } else {
        size_t length = strnlen(context->correlation_id, MFI_RECORD_CORRELATION_MAX);
        lengths |= (uint64_t)length << MFI_LENGTH_CORRELATION;
        (void)put_text(words, at, context->correlation_id, length);
    }
    mfi_word_store(&words[MFI_WORD_LENGTHS], lengths);
    put_id(&words[MFI_WORD_TRACE], context->trace_id, 4);
    put_id(&words[MFI_WORD_SPAN], context->span_id, 2);
    put_request_id(words, context->request_id);
}

size_t mfi_words_used(const mfi_words *words)
{
    uint64_t lengths = mfi_word_load(&words->of[MFI_WORD_LENGTHS]);
    size_t correlation = (lengths >> MFI_LENGTH_CORRELATION) & 0xff;
    return MFI_WORD_TEXTS + ((lengths >> MFI_LENGTH_WORDS) & 0xff) +
           (((lengths >> MFI_LENGTH_NAMESPACE) & 0xff) + 7) / 8 +
           (correlation == MFI_SAME_AS_TRACE ? 0 : (correlation + 7) / 8);
}

/* ---- Calls ---- */

static mfi_lane *own_lane(mfi_recorder *recorder, unsigned shard)
{
    return &recorder->lanes[shard];
}

/* One more or one less open call that has no entry. */
static void count_homeless(mfi_recorder *recorder, uint64_t change)
{
    unsigned shard = mfi_shard_index();
    mfi_cell_add(shard, &own_lane(recorder, shard)->homeless, change);
}

/* Begins a call in an entry; words are written between. */
static void open_entry(mfi_recorder_entry *entry, uint64_t version, mfi_open_phase phase,
                       mfi_recorded *ret_recorded)
{
    uint64_t turn =
        (atomic_load_explicit(&entry->progress, memory_order_relaxed) >> PHASE_BITS) + 1;
    *ret_recorded = (mfi_recorded){.entry = entry, .turn = turn};
    mfi_word_store(&entry->progress, turn << PHASE_BITS | phase);
    mfi_word_store(&entry->version, version + 2);
}

static void put_client(_Atomic(uint64_t) *words, const mfi_client_span *span,
                       const mfi_recorded_names *names)
{
    uint64_t deadline = MFI_NEVER;
    if (span->deadline_ms < INT64_MAX / (int64_t)MFI_NS_PER_MS) {
        deadline = span->start_ns + (uint64_t)span->deadline_ms * MFI_NS_PER_MS;
    }
    mfi_word_store(&words[MFI_WORD_START], span->start_ns);
    mfi_word_store(&words[MFI_WORD_DEADLINE], deadline);
    mfi_word_store(&words[MFI_WORD_STATE], mfi_pack_state(0, 0, span->attempt));
    put_texts(words, &span->context, span->namespace_name, names);
}

void mfi_recorder_client_begin(mfi_recorder *recorder, mfi_client_span *span,
                               const mfi_recorded_names *names)
{
    uint64_t version = 0;
    mfi_recorder_entry *entry = take_entry(recorder, mfi_shard_index(), &version);
    if (entry == NULL) {
        span->recorded = (mfi_recorded){.entry = NULL, .turn = 1};
        count_homeless(recorder, 1);
        return;
    }
    put_client(entry->words.of, span, names);
    open_entry(entry, version, MFI_OPEN_QUEUED, &span->recorded);
}

void mfi_recorder_client_sent(const mfi_recorded *recorded)
{
    uint64_t queued = recorded->turn << PHASE_BITS | MFI_OPEN_QUEUED;
    if (recorded->entry != NULL) {
        (void)atomic_compare_exchange_strong_explicit(&recorded->entry->progress, &queued,
                                                      recorded->turn << PHASE_BITS | MFI_OPEN_SENT,
                                                      memory_order_acq_rel, memory_order_relaxed);
    }
}

/* The present thread alone writes the entry between its begin and its end. */
static uint64_t write_entry(mfi_recorder_entry *entry)
{
    uint64_t version = atomic_load_explicit(&entry->version, memory_order_relaxed);
    atomic_store_explicit(&entry->version, version + 1, memory_order_relaxed);
    return version;
}

void mfi_recorder_client_waits(mfi_client_span *span, uint64_t retry_ns)
{
    mfi_recorder_entry *entry = span->recorded.entry;
    if (entry == NULL) {
        return;
    }
    uint64_t version = write_entry(entry);
    span->recorded.turn++;
    mfi_word_store(&entry->words.of[MFI_WORD_RETRY], retry_ns);
    mfi_word_store(&entry->progress, span->recorded.turn << PHASE_BITS | MFI_OPEN_RETRY_WAIT);
    mfi_word_store(&entry->version, version + 2);
}

void mfi_recorder_client_again(mfi_client_span *span)
{
    mfi_recorder_entry *entry = span->recorded.entry;
    if (entry == NULL) {
        return;
    }
    uint64_t version = write_entry(entry);
    span->recorded.turn++;
    mfi_word_store(&entry->words.of[MFI_WORD_STATE], mfi_pack_state(0, 0, span->attempt));
    put_id(&entry->words.of[MFI_WORD_SPAN], span->context.span_id, 2);
    put_request_id(entry->words.of, span->context.request_id);
    mfi_word_store(&entry->progress, span->recorded.turn << PHASE_BITS | MFI_OPEN_QUEUED);
    mfi_word_store(&entry->version, version + 2);
}

static void end_client(_Atomic(uint64_t) *words, const mfi_client_span *span)
{
    unsigned flags = (span->has_server_times ? MFI_STATE_HAS_TIMES : 0u) |
                     (span->is_refused ? MFI_STATE_REFUSED : 0u);
    unsigned status = span->status == MF_OK ? MFI_STATUS_OK : mfi_call_status_of(span->status);
    /* A call that ended in the wait for its next attempt has that number already. */
    bool is_between = span->attempt > 1 && span->attempt_ns == 0;
    unsigned attempt = span->attempt - (is_between ? 1u : 0u);
    mfi_word_store(&words[MFI_WORD_SENT], span->sent_ns);
    mfi_word_store(&words[MFI_WORD_RECEIVED], span->received_ns);
    mfi_word_store(&words[MFI_WORD_END], span->end_ns);
    mfi_word_store(&words[MFI_WORD_RETRY], 0);
    mfi_word_store(&words[MFI_WORD_QUEUE_NS], span->server_queue_ns);
    mfi_word_store(&words[MFI_WORD_HANDLER_NS], span->server_handler_ns);
    mfi_word_store(&words[MFI_WORD_STATE], mfi_pack_state(flags, status, attempt));
    mfi_word_store(&words[MFI_WORD_BYTES],
                   (uint64_t)span->request_bytes << 32 | span->response_bytes);
}

/* A thread that takes the entry next may write it as soon as it has ended, so this comes last. */
static void end_entry(const mfi_recorded *recorded, uint64_t version)
{
    mfi_word_store(&recorded->entry->version, version + 2);
    mfi_word_store(&recorded->entry->progress, recorded->turn << PHASE_BITS | MFI_OPEN_ENDED);
}

static void keep(mfi_recorder *recorder, mfi_words *words, const mfi_recorded_names *names,
                 bool is_failure, const mf_error *error)
{
    struct mfi_recorder_group *group = names->group;
    uint64_t end = mfi_word_load(&words->of[MFI_WORD_END]);
    uint64_t took = end - mfi_word_load(&words->of[MFI_WORD_START]);
    if (__builtin_expect(is_failure, 0)) {
        uint64_t number = mfi_recorder_keep_failure(recorder, words, error);
        mfi_word_store(&words->of[MFI_WORD_RETRY], number);
    }
    if (group == NULL) {
        group = &recorder->groups[recorder->group_count - 1];
    }
    if (took > atomic_load_explicit(&group->floor, memory_order_relaxed) ||
        end > atomic_load_explicit(&group->until, memory_order_relaxed)) {
        mfi_recorder_keep_slow(recorder, group, words);
    }
}

void mfi_recorder_client_end(mfi_recorder *recorder, const mfi_client_span *span,
                             const mfi_recorded_names *names, const mf_error *error)
{
    mfi_recorder_entry *entry = span->recorded.entry;
    bool is_failure = span->status != MF_OK && !span->is_refused;
    if (__builtin_expect(entry == NULL, 0)) {
        mfi_words local;
        put_client(local.of, span, names);
        end_client(local.of, span);
        if (!span->is_refused) {
            keep(recorder, &local, names, is_failure, error);
        }
        count_homeless(recorder, UINT64_MAX * (span->recorded.turn != 0));
        return;
    }
    uint64_t version = write_entry(entry);
    end_client(entry->words.of, span);
    if (!span->is_refused) {
        keep(recorder, &entry->words, names, is_failure, error);
    }
    end_entry(&span->recorded, version);
}

/* ---- The worker's side ---- */

static void put_server(_Atomic(uint64_t) *words, const mfi_server_span *span,
                       const mfi_recorded_names *names)
{
    mfi_word_store(&words[MFI_WORD_START], span->begun_ns);
    mfi_word_store(&words[MFI_WORD_DEADLINE], span->deadline_ns);
    mfi_word_store(&words[MFI_WORD_STATE], mfi_pack_state(MFI_STATE_SERVER, 0, 0));
    put_texts(words, &span->context, span->namespace_name, names);
}

void mfi_recorder_server_begin(mfi_recorder *recorder, mfi_server_span *span,
                               const mfi_recorded_names *names)
{
    uint64_t version = 0;
    mfi_recorder_entry *entry = take_entry(recorder, mfi_shard_index(), &version);
    if (entry == NULL) {
        span->recorded = (mfi_recorded){.entry = NULL, .turn = 1};
        count_homeless(recorder, 1);
        return;
    }
    put_server(entry->words.of, span, names);
    open_entry(entry, version, MFI_OPEN_RUNNING, &span->recorded);
}

void mfi_recorder_server_deferred(const mfi_server_span *span)
{
    if (span->recorded.entry != NULL) {
        mfi_word_store(&span->recorded.entry->progress,
                       span->recorded.turn << PHASE_BITS | MFI_OPEN_DEFERRED);
    }
}

static void end_server(_Atomic(uint64_t) *words, const mfi_server_span *span)
{
    unsigned status = span->status == MF_OK ? MFI_STATUS_OK : mfi_call_status_of(span->status);
    uint32_t calls = span->handler_times.one_in;
    bool is_sampled = calls != 0;
    unsigned flags = MFI_STATE_SERVER | (span->has_run ? MFI_STATE_HAS_TIMES : 0u) |
                     (is_sampled ? MFI_STATE_SAMPLED : 0u);
    unsigned one_in = calls < UINT16_MAX ? calls : UINT16_MAX;
    mfi_word_store(&words[MFI_WORD_SENT], is_sampled ? mfi_pack_sampled(&span->handler_times) : 0);
    mfi_word_store(&words[MFI_WORD_RECEIVED], span->received_ns);
    mfi_word_store(&words[MFI_WORD_END], span->end_ns);
    mfi_word_store(&words[MFI_WORD_RETRY], 0);
    mfi_word_store(&words[MFI_WORD_QUEUE_NS], span->begun_ns - span->received_ns);
    mfi_word_store(&words[MFI_WORD_HANDLER_NS], span->done_ns - span->begun_ns);
    mfi_word_store(&words[MFI_WORD_STATE], mfi_pack_state(flags, status, one_in));
    mfi_word_store(&words[MFI_WORD_BYTES],
                   (uint64_t)span->request_bytes << 32 | span->response_bytes);
}

void mfi_recorder_server_end(mfi_recorder *recorder, const mfi_server_span *span,
                             const mfi_recorded_names *names, const mf_error *error)
{
    mfi_recorder_entry *entry = span->recorded.entry;
    if (__builtin_expect(entry == NULL, 0)) {
        mfi_words local;
        put_server(local.of, span, names);
        end_server(local.of, span);
        keep(recorder, &local, names, span->status != MF_OK, error);
        count_homeless(recorder, UINT64_MAX * (span->recorded.turn != 0));
        return;
    }
    uint64_t version = write_entry(entry);
    end_server(entry->words.of, span);
    keep(recorder, &entry->words, names, span->status != MF_OK, error);
    end_entry(&span->recorded, version);
}
