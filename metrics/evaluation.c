/* The thread that evaluates the checks, and the table of their outcomes. Requests read the table,
 * so that an orchestrator's probe never waits for a check. */
#include "metrics/evaluation.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"
#include "metrics/metric_set.h"

/* All shared evaluations. The mutex is held while one starts or ends, so that no two of them visit
 * the same probe. */
static mfi_mutex all_mutex = MFI_MUTEX_INIT;
static mfi_list all;

#define CHECKS_MAX 1024 /* rows of one evaluation; further ones that pass are left out */
/* What does not pass is kept up to here: a gate must not open because other rows came first. */
#define CHECKS_MOST 2048

static const char *const words[] = {"pass", "warn", "fail"};

#define HANGS_NS (10 * MFI_NS_PER_S) /* an older evaluation means that a check hangs */

/* The rows of one evaluation, before they replace those of the last one. */
typedef struct evaluation {
    mfi_check *checks;
    size_t count;
    char (*notes)[MFI_NOTE_MAX];
    size_t note_count;
} evaluation;

static void copy_or_empty(char *to, size_t size, const char *text)
{
    (void)mfi_str_copy(to, size, text != NULL ? text : "");
}

/* A name is a key of JSON, a line of text and the value of a label; only one colon stands in it. */
static void clean(char *to, size_t size, const char *text)
{
    (void)mfi_str_copy_visible(to, size, text, strlen(text));
    for (char *c = strpbrk(to, ":\n\t"); c != NULL; c = strpbrk(c, ":\n\t")) {
        *c = '_';
    }
}

static void name_check(mfi_check *check, const mf_health_row *row)
{
    char component[MFI_CHECK_COMPONENT_MAX];
    char measurement[MFI_CHECK_MEASUREMENT_MAX];
    clean(component, sizeof component, row->component);
    clean(measurement, sizeof measurement, row->measurement != NULL ? row->measurement : "");
    (void)mfi_str_format(check->name, sizeof check->name, "%s%s%s", component,
                         measurement[0] != '\0' ? ":" : "", measurement);
}

static void take_affected(mfi_check *check, const mf_health_row *row)
{
    for (size_t i = 0; i < row->affected_count && i < MF_HEALTH_AFFECTED_MAX; i++) {
        const char *name = row->affected[i];
        (void)mfi_str_copy_visible(check->affected[i], MFI_CHECK_AFFECTED_MAX, name, strlen(name));
        check->affected_count = i + 1;
    }
}

static void take_note(const char *note, void *user_data)
{
    evaluation *at = user_data;
    if (at->notes == NULL) {
        at->notes = calloc(MFI_NOTES_MAX, sizeof *at->notes);
    }
    if (at->notes != NULL && at->note_count < MFI_NOTES_MAX) {
        (void)mfi_str_copy_visible(at->notes[at->note_count++], MFI_NOTE_MAX, note, strlen(note));
    }
}

static void take_row(const mf_health_row *row, void *user_data)
{
    evaluation *at = user_data;
    size_t most = row->status == MF_HEALTH_PASS ? CHECKS_MAX : CHECKS_MOST;
    mfi_check *grown =
        at->count < most ? realloc(at->checks, (at->count + 1) * sizeof *grown) : NULL;
    if (grown == NULL) {
        return;
    }
    at->checks = grown;
    mfi_check *check = &grown[at->count++];
    memset(check, 0, sizeof *check);
    name_check(check, row);
    copy_or_empty(check->component_type, sizeof check->component_type, row->component_type);
    copy_or_empty(check->text, sizeof check->text, row->observed_text);
    copy_or_empty(check->unit, sizeof check->unit, row->observed_unit);
    copy_or_empty(check->output, sizeof check->output, row->output);
    check->status = row->status;
    check->gates = row->gates;
    check->has_number = row->has_number;
    check->number = row->observed_number;
    if (row->status != MF_HEALTH_PASS) {
        take_affected(check, row);
    }
}

static const mfi_check *find(const mfi_check *checks, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(checks[i].name, name) == 0) {
            return &checks[i];
        }
    }
    return NULL;
}

/* Several rows may have one name. Together they are one check, which is as bad as the worst row. */
static const mfi_check *worst_of(const mfi_check *checks, size_t count, const mfi_check *first)
{
    const mfi_check *worst = first;
    for (const mfi_check *at = first + 1; at < checks + count; at++) {
        if (at->status > worst->status && strcmp(at->name, first->name) == 0) {
            worst = at;
        }
    }
    return worst;
}

/* A check keeps the time at which it got its status. Of several rows with one name, those with the
 * same status share it. */
static void keep_times(const evaluation *now, const mfi_check *before, size_t before_count,
                       uint64_t wall_ns)
{
    for (size_t i = 0; i < now->count; i++) {
        mfi_check *check = &now->checks[i];
        check->since_wall_ns = wall_ns;
        for (size_t j = 0; j < before_count; j++) {
            if (before[j].status == check->status && strcmp(before[j].name, check->name) == 0) {
                check->since_wall_ns = before[j].since_wall_ns;
                break;
            }
        }
    }
}

/* The gauges of a check are held as long as the check is there: the first row of its name has them.
 */
static void show_gauges(const mfi_health *health, const evaluation *now, const mfi_check *before,
                        size_t before_count)
{
    for (size_t i = 0; i < now->count; i++) {
        mfi_check *first = &now->checks[i];
        if (find(now->checks, i, first->name) != NULL) {
            continue;
        }
        const mfi_check *past = find(before, before_count, first->name);
        mf_health status = worst_of(now->checks, now->count, first)->status;
        for (int j = 0; j < 3; j++) {
            const char *labels[] = {first->name, words[j]};
            first->gauges[j] =
                past != NULL ? past->gauges[j] : mfi_family_hold_gauge(health->family, labels);
            if (first->gauges[j] != NULL) {
                mf_gauge_set(first->gauges[j], (int)status == j ? 1 : 0);
            }
        }
    }
}

static void drop_gauges(const mfi_health *health, const mfi_check *check)
{
    for (int i = 0; i < 3; i++) {
        mfi_family_drop_gauge(health->family, check->gauges[i]);
    }
}

/* Reports each check whose status differs from the last evaluation; a new check counts as passed
 * before. */
static void report_changes(const mfi_health *health, const evaluation *now, const mfi_check *before,
                           size_t before_count)
{
    const mf_probe *probe = health->probe;
    for (size_t i = 0; i < now->count; i++) {
        const mfi_check *first = &now->checks[i];
        if (find(now->checks, i, first->name) != NULL) {
            continue; /* reported with the first row of that name */
        }
        const mfi_check *worst = worst_of(now->checks, now->count, first);
        const mfi_check *past = find(before, before_count, first->name);
        mf_health from =
            past != NULL ? worst_of(before, before_count, past)->status : MF_HEALTH_PASS;
        if (from != worst->status && probe->health_changed != NULL) {
            probe->health_changed(probe->self, worst->name, from, worst->status,
                                  mfi_str_or_null(worst->output));
        }
    }
}

static void evaluate(mfi_health *health)
{
    evaluation now = {.checks = NULL};
    const mf_probe *probe = health->probe;
    uint64_t wall_ns = mfi_wall_ns();
    uint64_t began_ns = mfi_monotonic_ns();
    probe->visit_health(probe->self, take_row, &now);
    if (probe->visit_notes != NULL) {
        probe->visit_notes(probe->self, take_note, &now);
    }
    /* Only this thread replaces the checks, so it reads them without the mutex. */
    mfi_check *before = health->checks;
    size_t before_count = health->count;
    char(*notes_before)[MFI_NOTE_MAX] = health->notes;
    keep_times(&now, before, before_count, wall_ns);
    show_gauges(health, &now, before, before_count);
    mfi_mutex_lock(&health->mutex);
    health->checks = now.checks;
    health->count = now.count;
    health->notes = now.notes;
    health->note_count = now.note_count;
    health->serial++;
    health->began_ns = began_ns;
    health->evaluated_ns = mfi_monotonic_ns();
    health->evaluated_wall_ns = mfi_wall_ns();
    mfi_cond_broadcast(&health->evaluated);
    mfi_mutex_unlock(&health->mutex);
    for (size_t i = 0; i < before_count; i++) {
        if (find(now.checks, now.count, before[i].name) == NULL) {
            drop_gauges(health, &before[i]);
        }
    }
    report_changes(health, &now, before, before_count);
    free(before);
    free(notes_before);
}

/* A parent that was just made must not leave the gates open until the next evaluation. */
static void on_rows_changed(void *user_data)
{
    mfi_health *health = user_data;
    mfi_mutex_lock(&health->mutex);
    health->is_due = true;
    mfi_cond_signal(&health->wake);
    mfi_mutex_unlock(&health->mutex);
}

static void watch(mfi_health *health, void (*changed)(void *user_data))
{
    if (health->probe->watch != NULL) {
        health->probe->watch(health->probe->self, changed, health);
    }
}

static void feed(mfi_health *health)
{
    mfi_history_feed(&health->history, health->probe->metrics, mfi_monotonic_ns(), mfi_wall_ns());
}

static void *health_thread(void *argument)
{
    mfi_health *health = argument;
    mfi_mutex_lock(&health->mutex);
    while (!health->stopping) {
        uint64_t next = mfi_deadline_after_ms(health->evaluated_ns, health->interval_ms);
        if (!health->is_due &&
            (mfi_cond_wait_until(&health->wake, &health->mutex, next) || health->stopping)) {
            continue;
        }
        health->is_due = false;
        mfi_mutex_unlock(&health->mutex);
        evaluate(health);
        feed(health);
        mfi_mutex_lock(&health->mutex);
    }
    mfi_mutex_unlock(&health->mutex);
    return NULL;
}

mfi_check *mfi_evaluation_copy(mfi_health *health, size_t *ret_count, uint64_t *ret_wall_ns,
                               uint64_t *ret_age_ns)
{
    mfi_mutex_lock(&health->mutex);
    uint64_t now = mfi_monotonic_ns();
    mfi_check *copy = calloc(health->count + 1, sizeof *copy);
    if (copy != NULL && health->count > 0) {
        memcpy(copy, health->checks, health->count * sizeof *copy);
    }
    *ret_count = health->count;
    *ret_wall_ns = health->evaluated_wall_ns;
    *ret_age_ns = now - health->evaluated_ns;
    mfi_mutex_unlock(&health->mutex);
    return copy;
}

char (*mfi_evaluation_notes(mfi_health *health, size_t *ret_count))[MFI_NOTE_MAX]
{
    mfi_mutex_lock(&health->mutex);
    size_t size = health->note_count * sizeof *health->notes;
    char(*copy)[MFI_NOTE_MAX] = size > 0 ? malloc(size) : NULL;
    *ret_count = copy != NULL ? health->note_count : 0;
    if (copy != NULL) {
        memcpy(copy, health->notes, size);
    }
    mfi_mutex_unlock(&health->mutex);
    return copy;
}

bool mfi_evaluation_hangs(const mfi_health *health, uint64_t age_ns)
{
    return age_ns > HANGS_NS + (uint64_t)atomic_load(&health->interval_ms) * MFI_NS_PER_MS;
}

mf_health mfi_evaluation_gate(const mfi_check *checks, size_t count, unsigned gate)
{
    mf_health status = MF_HEALTH_PASS;
    for (size_t i = 0; i < count; i++) {
        bool gated = gate == 0 || (checks[i].gates & gate) != 0;
        status = gated && checks[i].status > status ? checks[i].status : status;
    }
    return status;
}

uint64_t mfi_evaluation_wait(mfi_health *health, uint64_t serial, uint64_t deadline_ns,
                             const _Atomic(bool) *stop)
{
    mfi_mutex_lock(&health->mutex);
    while (health->serial == serial && !atomic_load(stop) &&
           mfi_cond_wait_until(&health->evaluated, &health->mutex, deadline_ns)) {
    }
    serial = health->serial;
    mfi_mutex_unlock(&health->mutex);
    return serial;
}

uint64_t mfi_evaluation_began_ns(mfi_health *health)
{
    mfi_mutex_lock(&health->mutex);
    uint64_t began_ns = health->began_ns;
    mfi_mutex_unlock(&health->mutex);
    return began_ns;
}

void mfi_evaluation_wake(mfi_health *health)
{
    mfi_mutex_lock(&health->mutex);
    mfi_cond_broadcast(&health->evaluated);
    mfi_mutex_unlock(&health->mutex);
}

mf_status mfi_evaluation_start(mfi_health *health, const mf_probe *probe, int64_t interval_ms,
                               mf_error *error)
{
    static const char *const labels[] = {"check", "status"};
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = MF_METRIC_GAUGE,
                                 .name = "multifrost_health_check_status",
                                 .help = "1 for the present status of a health check",
                                 .label_names = labels,
                                 .label_count = 2,
                                 .max_series = (size_t)3 * CHECKS_MOST};
    *health = (mfi_health){.probe = probe, .users = 1};
    atomic_init(&health->interval_ms, interval_ms);
    mfi_mutex_init(&health->mutex);
    mfi_cond_init(&health->wake);
    mfi_cond_init(&health->evaluated);
    mfi_history_init(&health->history);
    mf_status status = mfi_metric_set_share(probe->metrics, &options, &health->family, error);
    if (status != MF_OK) {
        return status;
    }
    watch(health, on_rows_changed);
    evaluate(health);
    feed(health);
    int started = mfi_thread_start(&health->thread, "mf-health", health_thread, health);
    health->started = started == 0;
    return started == 0
               ? MF_OK
               : mfi_fail_errno(error, MF_ERR_SYSTEM, started, "cannot start the health thread");
}

void mfi_evaluation_stop(mfi_health *health)
{
    watch(health, NULL);
    if (health->started) {
        mfi_mutex_lock(&health->mutex);
        health->stopping = true;
        mfi_cond_signal(&health->wake);
        mfi_mutex_unlock(&health->mutex);
        (void)pthread_join(health->thread, NULL);
    }
    for (size_t i = 0; i < health->count; i++) {
        drop_gauges(health, &health->checks[i]);
    }
    free(health->checks);
    free(health->notes);
    mfi_cond_fini(&health->evaluated);
    mfi_history_fini(&health->history);
    mfi_cond_fini(&health->wake);
    mfi_mutex_fini(&health->mutex);
}

/* ---- Sharing ---- */

static mfi_health *find_shared(const mf_probe *probe)
{
    for (mfi_list_node *node = all.first; node != NULL; node = node->next) {
        mfi_health *at = MFI_CONTAINER(node, mfi_health, node);
        if (at->probe == probe) {
            return at;
        }
    }
    return NULL;
}

static void join(mfi_health *health, int64_t interval_ms)
{
    health->users++;
    mfi_mutex_lock(&health->mutex);
    if (interval_ms < atomic_load(&health->interval_ms)) {
        atomic_store(&health->interval_ms, interval_ms);
        mfi_cond_signal(&health->wake);
    }
    mfi_mutex_unlock(&health->mutex);
}

static mf_status start_shared(mfi_health **ret_health, const mf_probe *probe, int64_t interval_ms,
                              mf_error *error)
{
    mfi_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the health checks");
    }
    mf_status status = mfi_evaluation_start(health, probe, interval_ms, error);
    if (status != MF_OK) {
        mfi_evaluation_stop(health);
        free(health);
        return status;
    }
    mfi_list_push_back(&all, &health->node);
    *ret_health = health;
    return MF_OK;
}

mf_status mfi_evaluation_share(mfi_health **ret_health, const mf_probe *probe, int64_t interval_ms,
                               mf_error *error)
{
    mfi_mutex_lock(&all_mutex);
    mf_status status = MF_OK;
    mfi_health *found = find_shared(probe);
    if (found != NULL) {
        join(found, interval_ms);
        *ret_health = found;
    } else {
        status = start_shared(ret_health, probe, interval_ms, error);
    }
    mfi_mutex_unlock(&all_mutex);
    return status;
}

void mfi_evaluation_release(mfi_health *health)
{
    mfi_mutex_lock(&all_mutex);
    if (health != NULL && --health->users == 0) {
        mfi_list_remove(&all, &health->node);
        mfi_evaluation_stop(health);
        free(health);
    }
    mfi_mutex_unlock(&all_mutex);
}
