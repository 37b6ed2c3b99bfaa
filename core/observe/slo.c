/* Objectives for calls. It exists so that a program sees that its budget of bad calls runs out,
 * over hours, without a server that keeps its metrics.
 *
 * A slot of the ring is one word for each result: the number of its half minute, and a count. The
 * first call of a new half minute replaces the word, so no count of an old half minute is ever
 * read, none is lost, and no thread waits. */
#include "core/observe/slo.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "core/words/slos.h"

#define COUNT_BITS 40 /* of a word; the rest is the number of the half minute */
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)
#define EPOCH_MASK (UINT64_MAX >> COUNT_BITS)

/* The rules of /health: both windows of a pair must burn as fast. */
#define FAST_RATE 14.4 /* 2 % of a month's budget in an hour */
#define SLOW_RATE 6.0  /* 5 % of a month's budget in six hours */

_Static_assert(sizeof((mfi_observer *)0)->slos == MFI_SLO_MAX * sizeof(mfi_slo *),
               "the observer has room for all, and a mask a bit for each");

struct mfi_slo {
    char name[MFI_SLO_NAME_BYTES];
    char *target, *function; /* function NULL: all */
    uint64_t threshold_ns;
    double objective;
    bool count_app_errors;
    const mfi_clock *clock;
    _Atomic(mf_counter *) counters[MFI_SLO_RESULT_COUNT]; /* NULL: nothing is measured */
    _Atomic(uint64_t) slots[MFI_SLO_SLOTS][MFI_SLO_RESULT_COUNT];
};

/* ---- Making ---- */

static bool name_fits(const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;
    return length > 0 && length < MFI_SLO_NAME_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

static mf_status check_options(const mfi_slo_options *options, mf_error *error)
{
    const char *what = NULL;
    if (!name_fits(options->name)) {
        what = "name must be 1 to 64 of [a-z0-9_.-]";
    } else if (options->target == NULL || options->target[0] == '\0') {
        what = "target is missing";
    } else if (options->function != NULL && options->function[0] == '\0') {
        what = "function is empty: NULL means all";
    } else if (!(options->threshold_ms > 0) || options->threshold_ms > 1e9) {
        what = "threshold_ms must be above 0, and at most 1e9";
    } else if (!(options->objective > 0) || !(options->objective < 1)) {
        what = "objective must be above 0 and below 1";
    }
    return what == NULL ? MF_OK
                        : mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "mf_slo_options.%s", what);
}

mf_status mfi_slo_make(mfi_slo **ret_slo, const mfi_slo_options *options, const mfi_clock *clock,
                       mf_error *error)
{
    mf_status status = check_options(options, error);
    if (status != MF_OK) {
        return status;
    }
    mfi_slo *made = calloc(1, sizeof *made);
    if (made != NULL) {
        (void)mfi_str_copy(made->name, sizeof made->name, options->name);
        made->target = strdup(options->target);
        made->function = options->function != NULL ? strdup(options->function) : NULL;
        made->threshold_ns = (uint64_t)(options->threshold_ms * (double)MFI_NS_PER_MS);
        made->objective = options->objective;
        made->count_app_errors = options->count_app_errors;
        made->clock = clock;
    }
    if (made == NULL || made->target == NULL ||
        (made->function == NULL && options->function != NULL)) {
        mfi_slo_free(made);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for the objective '%s'", options->name);
    }
    *ret_slo = made;
    return MF_OK;
}

void mfi_slo_free(mfi_slo *slo)
{
    if (slo != NULL) {
        free(slo->target);
        free(slo->function);
        free(slo);
    }
}

const char *mfi_slo_name(const mfi_slo *slo)
{
    return slo->name;
}

/* ---- Which calls it is about ----
 *
 * Each function of a target has a mask with one bit for each objective, so that a call without one
 * costs one look. The mask of the functions without series of their own has the bits of all
 * objectives of the target. */

static bool is_about(const mfi_slo *slo, const mfi_target *target, const mfi_function *function)
{
    return !target->is_server && strcmp(slo->target, target->name) == 0 &&
           (slo->function == NULL || function->name == NULL ||
            strcmp(slo->function, function->name) == 0);
}

static void mark_locked(mfi_observer *observer, const mfi_target *target, mfi_function *function)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < observer->slo_count; i++) {
        mask |= is_about(observer->slos[i], target, function) ? UINT32_C(1) << i : 0;
    }
    atomic_store_explicit(&function->slos, mask, memory_order_release);
}

void mfi_slo_mark(const mfi_target *target, mfi_function *function)
{
    mfi_observer *observer = target->observer;
    mfi_mutex_lock(&observer->slo_mutex);
    mark_locked(observer, target, function);
    mfi_mutex_unlock(&observer->slo_mutex);
}

/* A function that comes meanwhile is in the table before it marks itself, and either sees the new
 * objective or is seen here. */
static void mark_all(mfi_observer *observer)
{
    mfi_mutex_lock(&observer->mutex);
    for (mfi_target *target = observer->targets; target != NULL; target = target->next) {
        mfi_slo_mark(target, &target->other);
        for (size_t i = 0; i < MFI_FUNCTIONS_MAX; i++) {
            mfi_function *function =
                atomic_load_explicit(&target->functions[i], memory_order_acquire);
            if (function != NULL) {
                mfi_slo_mark(target, function);
            }
        }
    }
    mfi_mutex_unlock(&observer->mutex);
}

static void make_series(const mfi_observer *observer, mfi_slo *slo)
{
    const mfi_families *families = &observer->families;
    const char *good[] = {slo->name, mfi_slo_word(MFI_SLO_GOOD)};
    const char *bad[] = {slo->name, mfi_slo_word(MFI_SLO_BAD)};
    if (observer->metrics == NULL) {
        return;
    }
    slo->counters[MFI_SLO_GOOD] = mf_family_counter(families->slo_requests, good);
    slo->counters[MFI_SLO_BAD] = mf_family_counter(families->slo_requests, bad);
    mf_gauge_set(mf_family_gauge(families->slo_objective, good), slo->objective);
    mf_gauge_set(mf_family_gauge(families->slo_threshold, good),
                 (double)slo->threshold_ns / (double)MFI_NS_PER_S);
}

mf_status mfi_slo_add(mfi_observer *observer, mfi_slo *slo, mf_error *error)
{
    mf_status status = MF_OK;
    mfi_mutex_lock(&observer->slo_mutex);
    for (uint32_t i = 0; i < observer->slo_count; i++) {
        if (strcmp(observer->slos[i]->name, slo->name) == 0) {
            status = mfi_fail(error, MF_ERR_EXISTS, "objective '%s' exists already", slo->name);
        }
    }
    if (status == MF_OK && observer->slo_count == MFI_SLO_MAX) {
        status = mfi_fail(error, MF_ERR_LIMIT, "a runtime has at most %d objectives", MFI_SLO_MAX);
    }
    if (status == MF_OK) {
        make_series(observer, slo);
        observer->slos[observer->slo_count++] = slo;
    }
    mfi_mutex_unlock(&observer->slo_mutex);
    if (status == MF_OK) {
        mark_all(observer);
    }
    return status;
}

void mfi_slos_free(mfi_observer *observer)
{
    for (uint32_t i = 0; i < observer->slo_count; i++) {
        mfi_slo_free(observer->slos[i]);
    }
}

/* ---- Counting ---- */

static uint64_t epoch_at(uint64_t now_ns)
{
    return (now_ns / MFI_SLO_SLOT_NS + 1) & EPOCH_MASK; /* a word of 0 has no half minute */
}

static void add(_Atomic(uint64_t) *word, uint64_t epoch)
{
    uint64_t held = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t next = 0;
    do {
        if (held >> COUNT_BITS > epoch) {
            return; /* a call that took six hours to be reported */
        }
        next = held >> COUNT_BITS == epoch ? held + 1 : (epoch << COUNT_BITS) + 1;
    } while (!atomic_compare_exchange_weak_explicit(word, &held, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}

void mfi_slo_count(mfi_slo *slo, mf_status status, uint64_t duration_ns, uint64_t end_ns)
{
    uint64_t epoch = epoch_at(end_ns);
    mfi_call_status counted = status == MF_OK ? MFI_STATUS_OK : mfi_call_status_of(status);
    if (counted == MFI_STATUS_CANCELLED ||
        (counted == MFI_STATUS_APP_ERROR && !slo->count_app_errors)) {
        return;
    }
    mfi_slo_result outcome =
        status == MF_OK && duration_ns <= slo->threshold_ns ? MFI_SLO_GOOD : MFI_SLO_BAD;
    mf_counter *counter = atomic_load_explicit(&slo->counters[outcome], memory_order_relaxed);
    if (counter != NULL) {
        mf_counter_add(counter, 1);
    }
    add(&slo->slots[epoch % MFI_SLO_SLOTS][outcome], epoch);
}

void mfi_slo_count_marked(const mfi_client_span *span, uint32_t mask)
{
    const mfi_observer *observer = span->target->observer;
    uint64_t duration_ns = span->end_ns - span->start_ns;
    for (; mask != 0; mask &= mask - 1) {
        mfi_slo *slo = observer->slos[__builtin_ctz(mask)];
        bool is_other = span->function->name == NULL && slo->function != NULL &&
                        strcmp(slo->function, span->function_name) != 0;
        if (!is_other) {
            mfi_slo_count(slo, span->status, duration_ns, span->end_ns);
        }
    }
}

/* ---- Burn rates ---- */

/* Half minutes of each window, the present one included. */
static const uint32_t slots_of[MFI_SLO_WINDOW_COUNT] = {
    [MFI_SLO_5M] = 11, [MFI_SLO_30M] = 61, [MFI_SLO_1H] = 121, [MFI_SLO_6H] = 721};

static uint64_t count_at(const mfi_slo *slo, uint64_t epoch, mfi_slo_result outcome)
{
    uint64_t word =
        atomic_load_explicit(&slo->slots[epoch % MFI_SLO_SLOTS][outcome], memory_order_relaxed);
    return word >> COUNT_BITS == epoch ? word & COUNT_MASK : 0;
}

void mfi_slo_burn(const mfi_slo *slo, double ret_rates[MFI_SLO_WINDOW_COUNT])
{
    uint64_t now = epoch_at(mfi_clock_monotonic(slo->clock));
    uint64_t good = 0;
    uint64_t bad = 0;
    uint32_t window = 0;
    for (uint32_t i = 0; i < MFI_SLO_SLOTS; i++) {
        if (now > i) { /* else before the clock began */
            good += count_at(slo, now - i, MFI_SLO_GOOD);
            bad += count_at(slo, now - i, MFI_SLO_BAD);
        }
        if (i + 1 == slots_of[window]) {
            double share = bad != 0 ? (double)bad / (double)(good + bad) : 0;
            ret_rates[window++] = share / (1 - slo->objective);
        }
    }
}

static bool warn_of_pair(mf_health_result *result, const double *rates, mfi_slo_window longer,
                         mfi_slo_window shorter, double limit)
{
    static const char *const words[] = {"5m", "30m", "1h", "6h"};
    if (rates[longer] < limit || rates[shorter] < limit) {
        return false;
    }
    result->status = MF_HEALTH_WARN;
    (void)mfi_str_format(
        result->output, sizeof result->output,
        "rule burnRate: the budget of bad calls burns %s times as fast as allowed over %s, and "
        "%s times over %s; the limit is %s",
        mfi_fixed_text(rates[longer], 1).text, words[longer],
        mfi_fixed_text(rates[shorter], 1).text, words[shorter], mfi_fixed_text(limit, 1).text);
    return true;
}

void mfi_slo_check(mf_health_result *result, void *user_data)
{
    double rates[MFI_SLO_WINDOW_COUNT];
    mfi_slo_burn(user_data, rates);
    (void)mfi_str_format(
        result->observed_text, sizeof result->observed_text, "5m %s, 30m %s, 1h %s, 6h %s",
        mfi_fixed_text(rates[MFI_SLO_5M], 1).text, mfi_fixed_text(rates[MFI_SLO_30M], 1).text,
        mfi_fixed_text(rates[MFI_SLO_1H], 1).text, mfi_fixed_text(rates[MFI_SLO_6H], 1).text);
    if (!warn_of_pair(result, rates, MFI_SLO_1H, MFI_SLO_5M, FAST_RATE)) {
        (void)warn_of_pair(result, rates, MFI_SLO_6H, MFI_SLO_30M, SLOW_RATE);
    }
}
