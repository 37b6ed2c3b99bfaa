/* Adds what a worker counted to the parent's series. It exists so that one scrape of a parent shows
 * all its workers, and a worker that is killed takes nothing along.
 *
 * The bytes are the worker's, so nothing of them is trusted: words are looked up in their closed
 * sets, names are counted, and the reader bounds the rest. */
#include "core/observe/segments.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/observe/holding.h"
#include "core/observe/serving.h"
#include "core/words/segments.h"
#include "metrics/segment.h"

/* ---- Names and words ---- */

/* The function's own name, or `_OTHER`: a worker has no more names than a parent gives it. */
static const char *name_of(mfi_target *target, const char *function)
{
    mfi_segments *segments = &target->segments;
    if (!target->owner->counted) {
        return MF_METRIC_OTHER;
    }
    for (size_t i = 0; i < segments->function_count; i++) {
        if (strcmp(segments->functions[i], function) == 0) {
            return segments->functions[i];
        }
    }
    if (segments->function_count == MFI_FUNCTIONS_MAX || strcmp(function, MF_METRIC_OTHER) == 0) {
        return MF_METRIC_OTHER;
    }
    char *copy = strdup(function);
    if (copy == NULL) {
        return MF_METRIC_OTHER;
    }
    segments->functions[segments->function_count++] = copy;
    return copy;
}

/* The word of a closed set; NULL if the worker gave a number beyond it. */
static const char *status_of(unsigned word)
{
    return word < MFI_STATUS_COUNT ? mfi_call_status_word((mfi_call_status)word) : NULL;
}

/* The words of own_segment.c: outcomes, then statuses; none for a good end. False for others. */
static bool read_end(unsigned word, mfi_call_status *ret_status)
{
    if (word >= MFI_OUTCOME_COUNT && word < MFI_OUTCOME_COUNT + MFI_STATUS_COUNT) {
        *ret_status = (mfi_call_status)(word - MFI_OUTCOME_COUNT);
        return true;
    }
    bool is_ok = word == MFI_OUTCOME_OK || word == MFI_SEGMENT_NO_WORD;
    *ret_status = is_ok ? MFI_STATUS_OK : MFI_STATUS_COUNT;
    return is_ok || word == MFI_OUTCOME_ERROR;
}

static const char *state_of(unsigned word)
{
    return word < MFI_HANDLER_STATE_COUNT ? mfi_handler_state_word((mfi_handler_state)word) : NULL;
}

static const char *stage_of(unsigned word)
{
    return word < MFI_EXPIRY_COUNT ? mfi_expiry_word((mfi_expiry)word) : NULL;
}

/* ---- Differences ---- */

/* Of a parent's series, in its integers. The reader bounds what one memory adds to one series, but
 * many series of many workers may share one of the parent's, and a sum of 64 bits that turns over
 * would go backwards. */
#define TOTAL_MOST (UINT64_C(1) << 62)

static void ignore(const mfi_target *target)
{
    mf_counter_add(mf_family_counter(target->observer->families.segment_ignored, &target->label),
                   1);
}

static void add_count(const mfi_target *target, mf_family *family, const char *const *labels,
                      const mfi_segment_delta *delta)
{
    mf_counter *counter = mf_family_counter(family, labels);
    uint64_t total = mf_counter_value(counter);
    if (total <= TOTAL_MOST && delta->count <= TOTAL_MOST - total) {
        mf_counter_add(counter, delta->count);
    } else {
        ignore(target);
    }
}

static void add_cells(const mfi_target *target, mf_histogram *to, const mfi_segment_delta *delta)
{
    mfi_buckets now;
    mfi_histogram_buckets(to, &now);
    if (now.count <= TOTAL_MOST && delta->cells->count <= TOTAL_MOST - now.count &&
        (now.sum + delta->cells->sum) * to->layout->unit <= (double)TOTAL_MOST) {
        mfi_histogram_add_cells(to, delta->cells, delta->sum);
    } else {
        ignore(target);
    }
}

static void add_counter(mfi_target *target, const mfi_segment_delta *delta)
{
    const mfi_families *families = &target->observer->families;
    const char *labels[4];
    mfi_serving_names(target, false, labels);
    switch (delta->family) {
    case MFI_SEGMENT_CALLS_STARTED:
        labels[2] = name_of(target, delta->function);
        add_count(target, families->server_started, labels, delta);
        break;
    case MFI_SEGMENT_CALLS:
        labels[2] = name_of(target, delta->function);
        labels[3] = status_of(delta->word);
        if (labels[3] != NULL) {
            add_count(target, families->server_calls, labels, delta);
        }
        break;
    case MFI_SEGMENT_EXPIRED:
        labels[2] = stage_of(delta->word);
        if (labels[2] != NULL) {
            add_count(target, families->server_expired, labels, delta);
        }
        break;
    case MFI_SEGMENT_UNKNOWN:
        add_count(target, families->server_unknown, labels, delta);
        break;
    case MFI_SEGMENT_BUSY_NS:
        add_count(target, families->server_busy, labels, delta);
        break;
    case MFI_SEGMENT_STATE_NS:
        labels[2] = state_of(delta->word);
        if (labels[2] != NULL) {
            add_count(target, families->handler_state, labels, delta);
        }
        break;
    case MFI_SEGMENT_DURATION: /* histograms; or a number that a worker made up */
    case MFI_SEGMENT_QUEUE_WAIT:
    case MFI_SEGMENT_FAMILY_END:
        break;
    }
}

static void add_histogram(mfi_target *target, const mfi_segment_delta *delta)
{
    const mfi_observer *observer = target->observer;
    mf_histogram *to = NULL;
    mfi_call_status status = MFI_STATUS_OK;
    if (delta->family == MFI_SEGMENT_QUEUE_WAIT) {
        const char *names[2];
        mfi_serving_names(target, false, names);
        to = mf_family_histogram(observer->families.server_queue_wait, names);
    } else if (delta->family == MFI_SEGMENT_DURATION && read_end(delta->word, &status)) {
        to = mfi_duration_series(observer, true, target->label, name_of(target, delta->function),
                                 status);
    }
    if (to != NULL) {
        add_cells(target, to, delta);
    }
}

static void add_delta(const mfi_segment_delta *delta, void *user_data)
{
    if (delta->is_histogram) {
        add_histogram(user_data, delta);
    } else {
        add_counter(user_data, delta);
    }
}

/* ---- What became of the memory itself ---- */

static void count_result(mfi_target *target, mfi_segment_result result)
{
    const char *labels[] = {target->label, mfi_segment_word(result)};
    mf_counter_add(mf_family_counter(target->observer->families.worker_segments, labels), 1);
    target->segments.is_counted = true;
    target->segments.is_taken = result == MFI_SEGMENT_TAKEN;
}

static void count_errors(mfi_target *target, const mfi_segment_facts *facts)
{
    const mfi_families *families = &target->observer->families;
    mfi_segments *segments = &target->segments;
    mf_counter_add(mf_family_counter(families->segment_ignored, &target->label),
                   facts->ignored - segments->ignored);
    segments->ignored = facts->ignored;
    if (facts->lost_series > segments->lost) {
        mf_counter_add(mf_family_counter(families->segment_lost, &target->label),
                       facts->lost_series - segments->lost);
        segments->lost = facts->lost_series;
    }
}

void mfi_segments_make(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    for (size_t i = 0; i < MFI_SEGMENT_RESULT_COUNT; i++) {
        const char *labels[] = {target->label, mfi_segment_word((mfi_segment_result)i)};
        (void)mf_family_counter(families->worker_segments, labels);
    }
    (void)mf_family_counter(families->segment_ignored, &target->label);
    (void)mf_family_counter(families->segment_lost, &target->label);
}

static bool collect_locked(mfi_target *target, mfi_segment_facts *ret_facts)
{
    mfi_segments *segments = &target->segments;
    if (segments->reader == NULL) {
        return false;
    }
    mfi_segment_read(segments->reader, ret_facts);
    if (!segments->is_counted && ret_facts->worker_version != 0) {
        bool taken = ret_facts->worker_version == MFI_SEGMENT_VERSION;
        count_result(target, taken ? MFI_SEGMENT_TAKEN : MFI_SEGMENT_OTHER_LAYOUT);
    }
    if (segments->is_taken) {
        mfi_segment_collect(segments->reader, add_delta, target);
        mfi_segment_read(segments->reader, ret_facts);
        count_errors(target, ret_facts);
    }
    return segments->is_taken;
}

/* ---- Begin, show, end ---- */

static void close_locked(mfi_segments *segments)
{
    if (segments->fd != 0) {
        (void)close(segments->fd);
        segments->fd = 0;
    }
}

static void end_locked(mfi_target *target)
{
    mfi_segments *segments = &target->segments;
    mfi_segment_facts facts;
    close_locked(segments);
    if (segments->reader == NULL) {
        return;
    }
    (void)collect_locked(target, &facts);
    if (!segments->is_counted) {
        count_result(target, MFI_SEGMENT_UNUSED);
    }
    mfi_segment_close(segments->reader);
    segments->reader = NULL;
    mfi_serving_let_go(target);
}

int mfi_target_begin_segment(mfi_target *target)
{
    if (!target->measured) {
        return -1;
    }
    int fd = mfi_segment_make(0);
    mfi_segment_reader *reader = fd >= 0 ? mfi_segment_open(fd) : NULL;
    if (reader == NULL && fd >= 0) {
        (void)close(fd);
    }
    mfi_mutex_lock(&target->observer->mutex);
    end_locked(target);
    target->segments.reader = reader;
    int kept = reader != NULL ? fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
    target->segments.fd = kept >= 0 ? kept : 0;
    target->segments.is_counted = false;
    target->segments.is_taken = false;
    target->segments.ignored = 0;
    target->segments.lost = 0;
    mfi_mutex_unlock(&target->observer->mutex);
    return reader != NULL ? fd : -1;
}

void mfi_target_end_segment(mfi_target *target)
{
    mfi_mutex_lock(&target->observer->mutex);
    end_locked(target);
    mfi_mutex_unlock(&target->observer->mutex);
}

/* Workers in other languages never look at it, so its memory goes back. */
void mfi_segments_ready(mfi_target *target)
{
    mfi_segments *segments = &target->segments;
    mfi_segment_facts facts = {0};
    mfi_mutex_lock(&target->observer->mutex);
    if (segments->reader != NULL && segments->fd != 0) {
        mfi_segment_read(segments->reader, &facts);
        if (facts.worker_version == 0) {
            mfi_segment_discard(segments->fd);
            end_locked(target);
        }
        close_locked(segments);
    }
    mfi_mutex_unlock(&target->observer->mutex);
}

/* The oldest of the running handlers; a time in the future is a worker's mistake, and counts as
 * now. */
static double oldest_seconds(const mfi_segment_running *running, size_t count)
{
    uint64_t now = mfi_monotonic_ns();
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t age = running[i].started_ns < now ? now - running[i].started_ns : 0;
        most = age > most ? age : most;
    }
    return (double)most / (double)MFI_NS_PER_S;
}

bool mfi_segments_show_locked(mfi_target *target)
{
    mfi_segment_facts facts;
    if (!collect_locked(target, &facts)) {
        return false;
    }
    mfi_segment_running *running = calloc(MFI_SEGMENT_RUNNING, sizeof *running);
    size_t count = running != NULL ? mfi_segment_read_running(target->segments.reader, running,
                                                              MFI_SEGMENT_RUNNING)
                                   : 0;
    mfi_server_gauges gauges = {.handlers_busy = count,
                                .handlers = facts.gauges[MFI_SEGMENT_THREADS],
                                .handler_seconds = oldest_seconds(running, count),
                                .queue_depth = facts.waiting,
                                .queue_bytes = facts.waiting_bytes};
    free(running);
    mfi_serving_hold(target);
    mfi_serving_show(target, &gauges);
    return true;
}

static bool is_taken_locked(const mfi_target *target)
{
    const mfi_segments *segments = &target->segments;
    mfi_segment_facts facts = {0};
    if (segments->reader == NULL) {
        return false;
    }
    mfi_segment_read(segments->reader, &facts);
    return segments->is_taken || facts.worker_version == MFI_SEGMENT_VERSION;
}

static int by_start(const void *a, const void *b)
{
    uint64_t one = ((const mfi_segment_running *)a)->started_ns;
    uint64_t two = ((const mfi_segment_running *)b)->started_ns;
    return (one > two) - (one < two);
}

size_t mfi_segments_read_running_locked(mfi_target *target, mfi_segment_running *ret_running,
                                        size_t most)
{
    size_t count = is_taken_locked(target)
                       ? mfi_segment_read_running(target->segments.reader, ret_running, most)
                       : 0;
    qsort(ret_running, count, sizeof *ret_running, by_start);
    return count;
}

void mfi_segments_free(mfi_target *target)
{
    mfi_segments *segments = &target->segments;
    close_locked(segments);
    mfi_segment_close(segments->reader);
    segments->reader = NULL;
    for (size_t i = 0; i < segments->function_count; i++) {
        free(segments->functions[i]);
    }
}
