/* Shows the calls of this process together with those that the handlers of its workers run. It
 * exists so that one page has both ends of a call, also when the worker hangs: the workers' part is
 * read from the memory that they share with their parent. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/observe.h"
#include "core/observe/parts.h"
#include "metrics/segment.h"

#define ROWS_MAX 4096 /* of all workers; the rest is counted as not shown */
#define NAME_MAX 64

typedef struct running_call {
    mfi_segment_running call;
    char target[NAME_MAX + 1], worker[NAME_MAX + 1];
    uint64_t age_ns;
} running_call;

/* The calls in workers, the oldest first, and the rows that they are merged with. */
typedef struct merged {
    running_call *rows;
    size_t count, next;
    uint64_t not_shown;
    const mf_call_query *query;
    uint64_t now_ns;
    mf_call_visit_fn visit;
    void *user_data;
    uint64_t shown;
} merged;

/* ---- Reading ---- */

static bool is_asked(const char *asked, const char *has)
{
    return asked == NULL || strcmp(asked, has) == 0;
}

static void add(merged *to, const mfi_target *target, const mfi_segment_running *call)
{
    const mf_call_query *query = to->query;
    if (!is_asked(query->function, call->function) || !is_asked(query->target, target->name) ||
        !is_asked(query->worker, target->worker) ||
        !is_asked(query->correlation_id, call->correlation_id)) {
        return;
    }
    if (to->count == ROWS_MAX) {
        to->not_shown++;
        return;
    }
    running_call *row = &to->rows[to->count++];
    row->call = *call;
    row->age_ns = call->started_ns < to->now_ns ? to->now_ns - call->started_ns : 0;
    (void)mfi_str_copy(row->target, sizeof row->target, target->name);
    (void)mfi_str_copy(row->worker, sizeof row->worker, target->worker);
}

static void read_all(mfi_observer *observer, merged *to)
{
    mfi_segment_running *running = calloc(MFI_SEGMENT_RUNNING, sizeof *running);
    to->rows = calloc(ROWS_MAX, sizeof *to->rows);
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *at = observer->targets; at != NULL; at = at->next) {
        if (at->is_server || running == NULL || to->rows == NULL) {
            continue;
        }
        size_t count = mfi_segments_read_running_locked(at, running, MFI_SEGMENT_RUNNING);
        for (size_t i = 0; i < count; i++) {
            add(to, at, &running[i]);
        }
    }
    mfi_mutex_unlock(&observer->mutex);
    free(running);
}

static int by_age(const void *a, const void *b)
{
    uint64_t first = ((const running_call *)a)->age_ns;
    uint64_t second = ((const running_call *)b)->age_ns;
    return (first < second) - (first > second);
}

/* ---- Showing ---- */

static void show(merged *at, const mf_call_row *row)
{
    if (at->shown < at->query->limit) {
        at->visit(row, at->user_data);
        at->shown++;
    }
}

static void show_next(merged *at)
{
    const running_call *from = &at->rows[at->next++];
    const mf_call_row row = {.struct_size = sizeof row,
                             .role = "server",
                             .phase = "running",
                             .target = from->target,
                             .worker = from->worker,
                             .function = from->call.function,
                             .namespace_name = mfi_str_or_null(from->call.namespace_name),
                             .correlation_id = mfi_str_or_null(from->call.correlation_id),
                             .trace_id = mfi_str_or_null(from->call.trace_id),
                             .span_id = mfi_str_or_null(from->call.span_id),
                             .request_id = mfi_str_or_null(from->call.request_id),
                             .start_wall_ns = mfi_wall_ns() - from->age_ns,
                             .age_seconds = (double)from->age_ns / (double)MFI_NS_PER_S,
                             .retry_in_seconds = -1,
                             .send_wait_seconds = -1,
                             .wire_seconds = -1,
                             .peer_queue_seconds = -1,
                             .handler_seconds = -1,
                             .receive_wait_seconds = -1,
                             .handler_on_cpu_seconds = -1,
                             .handler_runnable_seconds = -1,
                             .handler_blocked_seconds = -1};
    show(at, &row);
}

/* Open calls come first, the oldest of them before all others. */
static void merge(const mf_call_row *row, void *user_data)
{
    merged *at = user_data;
    while (at->next < at->count &&
           (row->status != NULL ||
            (double)at->rows[at->next].age_ns / (double)MFI_NS_PER_S > row->age_seconds)) {
        show_next(at);
    }
    show(at, row);
}

bool mfi_observer_visit_calls(mfi_observer *observer, const mf_call_query *query,
                              mf_call_visit_fn visit, void *user_data, mf_call_counts *ret_counts)
{
    merged at = {
        .query = query, .now_ns = mfi_monotonic_ns(), .visit = visit, .user_data = user_data};
    bool shows_open = query->view == MF_CALLS_OPEN || query->view == MF_CALLS_ALL;
    if (observer->recorder == NULL) {
        return false;
    }
    if (shows_open && query->status == NULL) {
        read_all(observer, &at);
    }
    if (at.count > 0) {
        qsort(at.rows, at.count, sizeof *at.rows, by_age);
    }
    bool ok = mfi_recorder_visit(observer->recorder, query, at.now_ns, merge, &at, ret_counts);
    while (ok && at.next < at.count) {
        show_next(&at);
    }
    ret_counts->matched += at.count;
    ret_counts->not_shown += at.not_shown;
    ret_counts->shown = ok ? at.shown : 0;
    free(at.rows);
    return ok;
}
