/* Reads the recorder for one query. It exists apart from the writers because it is free to take
 * time: it copies what it reads, and reads again what changed meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/recorder_inside.h"
#include "core/observe/statuses.h"

#define READS_MAX 8

/* A copy of one record. */
typedef struct copy {
    bool is_open;
    uint64_t key; /* the least comes first among the open ones, and among the ended ones */
    mfi_open_phase phase;
    uint64_t words[MFI_RECORD_WORDS];
    char error[MFI_RECORD_ERROR_MAX + 1];
} copy;

typedef struct texts {
    char target[MFI_RECORD_TARGET_MAX + 1], worker[MFI_RECORD_NAME_MAX + 1];
    char function[MFI_RECORD_NAME_MAX + 1], namespace_name[MFI_RECORD_NAMESPACE_MAX + 1];
    char correlation_id[MFI_RECORD_CORRELATION_MAX + 1];
    char trace_id[MF_TRACE_ID_MAX], span_id[MF_SPAN_ID_MAX], request_id[MF_REQUEST_ID_MAX];
} texts;

/* The best copies so far, in order. */
typedef struct selection {
    const mfi_recorder *recorder;
    const mf_call_query *query;
    size_t limit; /* the query's, or as many as there can be */
    uint64_t now_ns, failures_made;
    copy **best;
    size_t count;
    copy *candidate; /* holds the next copy; never in best */
    mf_call_counts *counts;
} selection;

/* ---- Copies ---- */

static void copy_words(copy *to, const mfi_words *from)
{
    for (size_t i = 0; i < MFI_RECORD_WORDS; i++) {
        to->words[i] = mfi_word_load(&from->of[i]);
    }
}

static bool read_entry(const mfi_recorder_entry *entry, copy *to)
{
    for (int i = 0; i < READS_MAX; i++) {
        uint64_t version = mfi_word_load(&entry->version);
        copy_words(to, &entry->words);
        to->phase = (mfi_open_phase)(mfi_word_load(&entry->progress) & 0xff);
        to->is_open = to->phase != MFI_OPEN_ENDED;
        to->error[0] = '\0';
        if (version % 2 == 0 && version == mfi_word_load(&entry->version)) {
            return true;
        }
    }
    return false;
}

/* error: of a failure, or NULL. */
static bool read_kept(const mfi_kept *place, const _Atomic(uint64_t) *error, copy *to)
{
    to->phase = MFI_OPEN_ENDED;
    to->is_open = false;
    for (int i = 0; i < READS_MAX; i++) {
        uint64_t version = mfi_word_load(&place->version);
        copy_words(to, &place->words);
        memset(to->error, 0, sizeof to->error);
        for (size_t at = 0; error != NULL && at < MFI_RECORD_ERROR_MAX / 8; at++) {
            uint64_t word = mfi_word_load(&error[at]);
            memcpy(to->error + 8 * at, &word, sizeof word);
        }
        if (version % 2 == 0 && version == mfi_word_load(&place->version)) {
            return true;
        }
    }
    return false;
}

/* ---- Fields ---- */

static unsigned length_of(const copy *at, unsigned field)
{
    return (unsigned)(at->words[MFI_WORD_LENGTHS] >> field) & 0xff;
}

static void take_bytes(char *to, size_t most, const uint64_t *words, size_t length)
{
    length = length < most ? length : most;
    memcpy(to, words, length);
    to[length] = '\0';
}

static void read_texts(const copy *at, texts *to)
{
    const uint64_t *next = at->words + MFI_WORD_TEXTS;
    unsigned length = length_of(at, MFI_LENGTH_TARGET);
    take_bytes(to->target, MFI_RECORD_TARGET_MAX, next, length);
    next += (length + 7) / 8;
    length = length_of(at, MFI_LENGTH_WORKER);
    take_bytes(to->worker, MFI_RECORD_NAME_MAX, next, length);
    next += (length + 7) / 8;
    take_bytes(to->function, MFI_RECORD_NAME_MAX, next, length_of(at, MFI_LENGTH_FUNCTION));
    next = at->words + MFI_WORD_TEXTS + length_of(at, MFI_LENGTH_WORDS);
    length = length_of(at, MFI_LENGTH_NAMESPACE);
    take_bytes(to->namespace_name, MFI_RECORD_NAMESPACE_MAX, next, length);
    next += (length + 7) / 8;
    take_bytes(to->trace_id, sizeof to->trace_id - 1, at->words + MFI_WORD_TRACE, 32);
    take_bytes(to->span_id, sizeof to->span_id - 1, at->words + MFI_WORD_SPAN, 16);
    take_bytes(to->request_id, sizeof to->request_id - 1, at->words + MFI_WORD_REQUEST, 36);
    length = length_of(at, MFI_LENGTH_CORRELATION);
    if (length == MFI_SAME_AS_TRACE) {
        memcpy(to->correlation_id, to->trace_id, sizeof to->trace_id);
    } else {
        take_bytes(to->correlation_id, MFI_RECORD_CORRELATION_MAX, next, length);
    }
}

static unsigned flags_of(const copy *at)
{
    return (unsigned)at->words[MFI_WORD_STATE] & 0xff;
}

static mfi_call_status status_of(const copy *at)
{
    return (mfi_call_status)((at->words[MFI_WORD_STATE] >> 8) & 0xff);
}

static uint64_t took(const copy *at)
{
    return at->words[MFI_WORD_END] - at->words[MFI_WORD_START];
}

/* ---- What a query selects ---- */

/* The kept text is cut at `most` bytes or a few before. */
static bool is_text(const char *asked, const char *kept, size_t most)
{
    size_t length = strlen(kept);
    return asked == NULL || strcmp(asked, kept) == 0 ||
           (strlen(asked) > most && length + 4 > most && strncmp(asked, kept, length) == 0);
}

static bool is_asked(const selection *at, const copy *call)
{
    texts has;
    const mf_call_query *query = at->query;
    if (query->status != NULL &&
        (call->is_open || strcmp(query->status, mfi_call_status_word(status_of(call))) != 0)) {
        return false;
    }
    read_texts(call, &has);
    return is_text(query->function, has.function, MFI_RECORD_NAME_MAX) &&
           is_text(query->target, has.target, MFI_RECORD_TARGET_MAX) &&
           is_text(query->worker, has.worker, MFI_RECORD_NAME_MAX) &&
           (query->correlation_id == NULL ||
            strcmp(query->correlation_id, has.correlation_id) == 0);
}

/* Ended calls leave when their time has passed. */
static bool is_fresh(const selection *at, const copy *call)
{
    uint64_t end = call->words[MFI_WORD_END];
    return end >= at->now_ns || at->now_ns - end <= at->recorder->keep_ns;
}

/* The failure is among those that are kept apart, and shown from there. Its number may be above
 * failures_made, if the call ended after that was read. */
static bool is_kept_apart(const selection *at, const copy *call)
{
    uint64_t number = call->words[MFI_WORD_RETRY];
    return number != 0 && number + at->recorder->failure_count > at->failures_made;
}

static bool is_in_view(const selection *at, const copy *call)
{
    switch (at->query->view) {
    case MF_CALLS_OPEN:
        return call->is_open;
    case MF_CALLS_RECENT:
        return !call->is_open && !is_kept_apart(at, call);
    case MF_CALLS_FAILED:
        return !call->is_open && status_of(call) != MFI_STATUS_OK && !is_kept_apart(at, call);
    case MF_CALLS_SLOWEST:
        return false;
    case MF_CALLS_ALL:
        return call->is_open || !is_kept_apart(at, call);
    }
    return false;
}

static bool comes_before(const copy *a, const copy *b)
{
    return a->is_open != b->is_open ? a->is_open : a->key < b->key;
}

/* Puts the candidate where it belongs among the best. False: no memory. */
static bool consider(selection *at)
{
    copy *call = at->candidate;
    if ((!call->is_open && !is_fresh(at, call)) || !is_asked(at, call)) {
        return true;
    }
    at->counts->matched++;
    uint64_t end = call->words[MFI_WORD_END];
    call->key = call->is_open                         ? call->words[MFI_WORD_START]
                : at->query->view == MF_CALLS_SLOWEST ? UINT64_MAX - took(call)
                                                      : UINT64_MAX - end;
    bool is_full = at->count == at->limit;
    if (is_full && (at->count == 0 || !comes_before(call, at->best[at->count - 1]))) {
        return true;
    }
    copy *spare = is_full ? at->best[at->count - 1] : malloc(sizeof *spare);
    if (spare == NULL) {
        return false;
    }
    size_t low = 0;
    size_t high = at->count -= is_full ? 1 : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(call, at->best[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    memmove(&at->best[low + 1], &at->best[low], (at->count - low) * sizeof(copy *));
    at->best[low] = call;
    at->count++;
    at->candidate = spare;
    return true;
}

static bool select_entries(selection *at)
{
    size_t used = atomic_load_explicit(&at->recorder->chunks_used, memory_order_acquire);
    bool ok = true;
    for (size_t i = 0; ok && i < used * MFI_CHUNK_ENTRIES; i++) {
        const mfi_recorder_entry *entry =
            &at->recorder->chunks[i / MFI_CHUNK_ENTRIES].entries[i % MFI_CHUNK_ENTRIES];
        if (!read_entry(entry, at->candidate)) {
            at->counts->unreadable++;
        } else if (at->candidate->phase != MFI_OPEN_FREE && is_in_view(at, at->candidate)) {
            ok = consider(at);
        }
    }
    return ok;
}

static bool select_kept(selection *at, const mfi_kept *place, const _Atomic(uint64_t) *error)
{
    if (mfi_word_load(&place->version) == 0) {
        return true;
    }
    if (!read_kept(place, error, at->candidate)) {
        at->counts->unreadable++;
        return true;
    }
    return consider(at);
}

static bool select_all(selection *at)
{
    const mfi_recorder *recorder = at->recorder;
    mf_call_view view = at->query->view;
    bool ok = view == MF_CALLS_SLOWEST || select_entries(at);
    bool with_failures = view != MF_CALLS_OPEN && view != MF_CALLS_SLOWEST;
    for (size_t i = 0; ok && with_failures && i < recorder->failure_count; i++) {
        ok = select_kept(at, &recorder->failures[i].call, recorder->failures[i].error);
    }
    for (size_t i = 0; ok && view == MF_CALLS_SLOWEST && i < recorder->group_count; i++) {
        for (size_t place = 0; ok && place < MFI_GROUP_PLACES; place++) {
            ok = select_kept(at, &recorder->groups[i].places[place], NULL);
        }
    }
    return ok;
}

/* ---- Rows ---- */

static double seconds_from(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns >= from_ns ? (double)(to_ns - from_ns) / (double)MFI_NS_PER_S
                            : -((double)(from_ns - to_ns) / (double)MFI_NS_PER_S);
}

static double span_or_unknown(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns != 0 && to_ns >= from_ns ? seconds_from(from_ns, to_ns) : -1;
}

/* Of a handler's time; only some handlers are sampled. */
static void set_states(const copy *at, mf_call_row *row)
{
    if ((flags_of(at) & MFI_STATE_SAMPLED) == 0) {
        return;
    }
    uint64_t both = at->words[MFI_WORD_SENT];
    row->handler_on_cpu_seconds = (double)(both >> 32) / 1e6;
    row->handler_runnable_seconds = (double)(both & UINT32_MAX) / 1e6;
    double rest =
        row->handler_seconds - row->handler_on_cpu_seconds - row->handler_runnable_seconds;
    row->handler_blocked_seconds = rest > 0 ? rest : 0;
    row->handler_sampled_one_in = (uint32_t)(at->words[MFI_WORD_STATE] >> 16) & 0xffff;
}

static void set_phases(const copy *at, mf_call_row *row)
{
    const uint64_t *words = at->words;
    row->send_wait_seconds = row->wire_seconds = row->peer_queue_seconds = -1;
    row->handler_seconds = row->receive_wait_seconds = -1;
    row->handler_on_cpu_seconds = row->handler_runnable_seconds = row->handler_blocked_seconds = -1;
    if (at->is_open) {
        return;
    }
    if ((flags_of(at) & MFI_STATE_HAS_TIMES) != 0) {
        row->peer_queue_seconds = seconds_from(0, words[MFI_WORD_QUEUE_NS]);
        row->handler_seconds = seconds_from(0, words[MFI_WORD_HANDLER_NS]);
    }
    if ((flags_of(at) & MFI_STATE_SERVER) != 0) {
        set_states(at, row);
        return;
    }
    if (words[MFI_WORD_SENT] != 0) { /* the driver's reading of the clock may be the older one */
        row->send_wait_seconds = words[MFI_WORD_SENT] > words[MFI_WORD_START]
                                     ? seconds_from(words[MFI_WORD_START], words[MFI_WORD_SENT])
                                     : 0;
    }
    double away = span_or_unknown(words[MFI_WORD_SENT], words[MFI_WORD_RECEIVED]);
    if (away >= 0 && (flags_of(at) & MFI_STATE_HAS_TIMES) != 0) {
        double wire = away - row->peer_queue_seconds - row->handler_seconds;
        row->wire_seconds = wire > 0 ? wire : 0;
    }
    row->receive_wait_seconds = span_or_unknown(words[MFI_WORD_RECEIVED], words[MFI_WORD_END]);
}

static void set_times(const copy *at, uint64_t now_ns, mf_call_row *row)
{
    const uint64_t *words = at->words;
    uint64_t start = words[MFI_WORD_START];
    uint64_t until = at->is_open ? (now_ns > start ? now_ns : start) : words[MFI_WORD_END];
    uint64_t retry = words[MFI_WORD_RETRY];
    row->start_wall_ns = mfi_wall_ns() - (now_ns > start ? now_ns - start : 0);
    row->age_seconds = seconds_from(start, until);
    row->has_deadline = words[MFI_WORD_DEADLINE] != 0 && words[MFI_WORD_DEADLINE] != MFI_NEVER;
    row->deadline_left_seconds =
        row->has_deadline ? seconds_from(until, words[MFI_WORD_DEADLINE]) : 0;
    row->retry_in_seconds = at->phase != MFI_OPEN_RETRY_WAIT ? -1
                            : retry > now_ns                 ? seconds_from(now_ns, retry)
                                                             : 0;
}

/* A worker does not know it. */
static uint32_t attempt_of(const copy *at)
{
    bool is_server = (flags_of(at) & MFI_STATE_SERVER) != 0;
    return is_server ? 0 : (uint32_t)(at->words[MFI_WORD_STATE] >> 16) & 0xffff;
}

static void show(const copy *at, uint64_t now_ns, mf_call_visit_fn visit, void *user_data)
{
    texts has;
    read_texts(at, &has);
    mf_call_row row = {
        .struct_size = sizeof row,
        .role = (flags_of(at) & MFI_STATE_SERVER) != 0 ? "server" : "client",
        .phase = mfi_open_phase_word(at->phase),
        .target = mfi_str_or_null(has.target),
        .worker = mfi_str_or_null(has.worker),
        .function = has.function,
        .namespace_name = mfi_str_or_null(has.namespace_name),
        .correlation_id = mfi_str_or_null(has.correlation_id),
        .trace_id = mfi_str_or_null(has.trace_id),
        .span_id = mfi_str_or_null(has.span_id),
        .request_id = mfi_str_or_null(has.request_id),
        .attempt = attempt_of(at),
        .status = at->is_open ? NULL : mfi_call_status_word(status_of(at)),
        .error = mfi_str_or_null(at->error),
    };
    set_times(at, now_ns, &row);
    set_phases(at, &row);
    if (!at->is_open) {
        row.request_bytes = (uint32_t)(at->words[MFI_WORD_BYTES] >> 32);
        row.response_bytes = (uint32_t)at->words[MFI_WORD_BYTES];
    }
    visit(&row, user_data);
}

static void count_all(const mfi_recorder *recorder, mf_call_counts *to)
{
    int64_t homeless = 0; /* the lanes are read one by one while calls end */
    for (size_t i = 0; i < MFI_LANES; i++) {
        const mfi_lane *lane = &recorder->lanes[i];
        to->overwritten += atomic_load_explicit(&lane->overwritten, memory_order_relaxed);
        homeless += (int64_t)atomic_load_explicit(&lane->homeless, memory_order_relaxed);
    }
    to->not_shown = homeless > 0 ? (uint64_t)homeless : 0;
    to->kept_seconds = (double)recorder->keep_ns / (double)MFI_NS_PER_S;
}

static size_t most_of(const mfi_recorder *recorder)
{
    return recorder->chunk_count * MFI_CHUNK_ENTRIES + recorder->failure_count +
           recorder->group_count * MFI_GROUP_PLACES;
}

bool mfi_recorder_visit(mfi_recorder *recorder, const mf_call_query *query, uint64_t now_ns,
                        mf_call_visit_fn visit, void *user_data, mf_call_counts *ret_counts)
{
    *ret_counts = (mf_call_counts){.struct_size = sizeof *ret_counts};
    count_all(recorder, ret_counts);
    selection at = {.recorder = recorder, .query = query, .now_ns = now_ns, .counts = ret_counts};
    at.failures_made = atomic_load_explicit(&recorder->failures_made, memory_order_relaxed);
    size_t most = most_of(recorder);
    at.limit = query->limit < most ? query->limit : most;
    at.best = calloc(at.limit + 1, sizeof(copy *));
    at.candidate = malloc(sizeof(copy));
    bool ok = at.best != NULL && at.candidate != NULL && select_all(&at);
    for (size_t i = 0; i < at.count; i++) {
        if (ok) {
            show(at.best[i], now_ns, visit, user_data);
        }
        free(at.best[i]);
    }
    ret_counts->shown = ok ? at.count : 0;
    free(at.candidate);
    free(at.best);
    return ok;
}
