/* Adds the families of the catalogue to a set, and makes the series that belong to no target:
 * dropped messages, the registry, the log, the loop. It exists so that those series are there, at
 * zero, before the first event. */
#include "base/clock.h"
#include "base/error.h"
#include "core/observe/parts.h"
#include "core/words/log_drops.h"
#include "logging/logger.h"
#include "metrics/metric_set.h"

typedef enum measure {
    MEASURE_NUMBERS,
    MEASURE_NANOSECONDS,
    MEASURE_DURATIONS,
    MEASURE_SIZES,
    MEASURE_RATIOS,
} measure;

typedef struct description {
    size_t offset; /* of the family's field in mfi_families */
    const char *name, *unit;
    size_t cap;
    const char *help;
    const char *labels[MF_METRIC_LABELS_MAX];
    mf_metric_type type;
    measure measure;
} description;

static const description catalogue[] = {
#define LABELS(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define DESCRIBE(field, kind, name, unit, measure, labels, cap, help)                              \
    {offsetof(mfi_families, field),                                                                \
     PREFIX name,                                                                                  \
     unit,                                                                                         \
     cap,                                                                                          \
     help,                                                                                         \
     labels,                                                                                       \
     MF_METRIC_##kind,                                                                             \
     MEASURE_##measure},
#define PREFIX "multifrost_"
    MFI_CATALOGUE(DESCRIBE, LABELS)
#undef PREFIX
};

static const description otel_catalogue[] = {
#define PREFIX
    MFI_OTEL_CATALOGUE(DESCRIBE, LABELS)
#undef PREFIX
#undef DESCRIBE
#undef LABELS
};

/* The description that takes the place of another where OpenTelemetry's names are asked for. */
static const description *otel_of(const description *native)
{
    for (size_t i = 0; i < sizeof otel_catalogue / sizeof otel_catalogue[0]; i++) {
        if (otel_catalogue[i].offset == native->offset) {
            return &otel_catalogue[i];
        }
    }
    return native;
}

static mf_metric_scale scale_of(measure kind)
{
    return kind == MEASURE_SIZES    ? MF_SCALE_SIZE
           : kind == MEASURE_RATIOS ? MF_SCALE_RATIO
                                    : MF_SCALE_DURATION;
}

static mf_status add_one(mfi_observer *observer, const description *from, mf_error *error)
{
    mf_family **place = (mf_family **)(void *)((char *)&observer->families + from->offset);
    mf_metric_options options = {.struct_size = sizeof options,
                                 .type = from->type,
                                 .name = from->name,
                                 .help = from->help,
                                 .unit = from->unit,
                                 .label_names = from->labels,
                                 .max_series = from->cap,
                                 .scale = scale_of(from->measure),
                                 .counter_factor = from->measure == MEASURE_NANOSECONDS ? 1e-9 : 1};
    while (options.label_count < MF_METRIC_LABELS_MAX &&
           from->labels[options.label_count] != NULL) {
        options.label_count++;
    }
    return mfi_metric_set_add(observer->metrics, &options, place, error);
}

/* ---- Figures of the log and the loop ---- */

static void add_difference(mf_family *family, const char *label, uint64_t now, uint64_t *seen)
{
    const char *values[] = {label};
    mf_counter *counter = mf_family_counter(family, label != NULL ? values : NULL);
    /* Adds 0 too, so that the series exists from the first scrape on. */
    mf_counter_add(counter, now - *seen);
    *seen = now;
}

static uint64_t *dropped(mf_log_stats *stats, mfi_log_drop reason)
{
    switch (reason) {
    case MFI_LOG_DROP_RING_FULL:
        return &stats->dropped_ring_full;
    case MFI_LOG_DROP_OVERSIZE:
        return &stats->dropped_oversize;
    case MFI_LOG_DROP_SAMPLED:
        return &stats->dropped_sampled;
    case MFI_LOG_DROP_SINK_ERROR:
    case MFI_LOG_DROP_COUNT:
        break;
    }
    return &stats->dropped_sink_error;
}

static void collect_log(void *user_data)
{
    mfi_observer *observer = user_data;
    const mfi_families *families = &observer->families;
    mf_log_stats *seen = &observer->log_seen;
    mf_log_stats now = MF_LOG_STATS_INIT;
    mf_log_stats_read(observer->logger, &now);
    for (size_t i = MF_LOG_TRACE; i <= MF_LOG_FATAL; i++) {
        add_difference(families->log_records, mfi_level_word((mf_log_level)i), now.records[i],
                       &seen->records[i]);
    }
    for (size_t i = 0; i < MFI_LOG_DROP_COUNT; i++) {
        add_difference(families->log_dropped, mfi_log_drop_word((mfi_log_drop)i),
                       *dropped(&now, (mfi_log_drop)i), dropped(seen, (mfi_log_drop)i));
    }
    add_difference(families->log_bytes, NULL, now.bytes, &seen->bytes);
    add_difference(families->log_redactions, NULL, now.redactions, &seen->redactions);
    mf_gauge_set(mf_family_gauge(families->log_ring, NULL), now.ring_used_ratio);
}

/* ---- Series that exist from the start ---- */

static void make_series(mfi_observer *observer)
{
    const mfi_families *families = &observer->families;
    for (size_t i = 0; i < MFI_DROP_COUNT; i++) {
        const char *reason = mfi_drop_word((mfi_drop_reason)i);
        observer->dropped[i] = mf_family_counter(families->dropped, &reason);
    }
    for (size_t i = 0; i < MFI_REGISTRY_OP_COUNT; i++) {
        for (size_t j = 0; j < MFI_REGISTRY_RESULT_COUNT; j++) {
            const char *names[] = {mfi_registry_op_word((mfi_registry_op)i),
                                   mfi_registry_result_word((mfi_registry_result)j)};
            observer->registry[i][j] = mf_family_counter(families->registry_operations, names);
        }
    }
    for (size_t i = 0; i < MFI_CIRCUIT_STATE_COUNT; i++) {
        const char *state = mfi_circuit_state_word((mfi_circuit_state)i);
        observer->circuits[i] = mf_family_gauge(families->circuits, &state);
    }
    for (size_t i = 0; i < MFI_WORKER_STATE_COUNT; i++) {
        const char *state = mfi_worker_word((mfi_worker_state)i);
        observer->workers[i] = mf_family_gauge(families->workers, &state);
    }
    observer->registry_lock_wait = mf_family_histogram(families->registry_lock_wait, NULL);
    observer->loop_lag = mf_family_histogram(families->loop_lag, (const char *const[]){"engine"});
}

mf_status mfi_families_add(mfi_observer *observer, mf_error *error)
{
    for (size_t i = 0; i < sizeof catalogue / sizeof catalogue[0]; i++) {
        const description *from = observer->otel_names ? otel_of(&catalogue[i]) : &catalogue[i];
        mf_status status = add_one(observer, from, error);
        if (status != MF_OK) {
            return status;
        }
    }
    make_series(observer);
    mf_status status = mf_metrics_add_collector(observer->metrics, collect_log, observer, error);
    if (status == MF_OK) {
        status = mf_metrics_add_collector(observer->metrics, mfi_targets_collect, observer, error);
    }
    if (status == MF_OK) {
        status = mf_metrics_add_collector(observer->metrics, mfi_figures_collect, observer, error);
    }
    return status;
}

void mfi_families_remove(mfi_observer *observer)
{
    if (observer->metrics != NULL) {
        mf_metrics_remove_collector(observer->metrics, mfi_figures_collect, observer);
        mf_metrics_remove_collector(observer->metrics, mfi_targets_collect, observer);
        mf_metrics_remove_collector(observer->metrics, collect_log, observer);
    }
}
