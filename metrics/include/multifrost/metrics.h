/**
 * @file metrics.h
 * Counters, gauges, histograms and latency windows, in families with bounded labels.
 *
 * Recording is lock-free, allocates nothing and takes about 10 ns: each thread writes to a shard of
 * its own, and a reader pays for the merge. A family is described once. A caller finds or makes a
 * series by its label values and keeps the pointer, so that the hot path looks nothing up. A full
 * family counts further label values in one series whose labels are `_OTHER`, so that no caller can
 * make memory or a scrape grow without bound. Further gauges are not exposed, because they have no
 * meaningful sum.
 *
 * Families and series live as long as their set. No function returns NULL on success.
 */
#ifndef MULTIFROST_METRICS_H
#define MULTIFROST_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

typedef struct mf_metrics mf_metrics;     /**< A set of metrics. Thread-safe. */
typedef struct mf_family mf_family;       /**< A name and its series. Thread-safe. */
typedef struct mf_counter mf_counter;     /**< Only goes up. Thread-safe. */
typedef struct mf_gauge mf_gauge;         /**< Goes up and down. Thread-safe. */
typedef struct mf_histogram mf_histogram; /**< Distribution since the start. Thread-safe. */
typedef struct mf_window mf_window;       /**< Quantiles of the last minute. Thread-safe. */

/** The kind of a family's series, and how they are exposed. */
typedef enum mf_metric_type {
    MF_METRIC_COUNTER = 1, /**< Name must end in "_total". */
    MF_METRIC_GAUGE = 2,
    MF_METRIC_HISTOGRAM = 3, /**< Base-2 exponential or, of shares, linear; classic buckets. */
    MF_METRIC_WINDOW = 4,    /**< Exposed as a summary with quantiles 0.5 to 0.999. */
    MF_METRIC_INFO = 5,      /**< Constant 1; the facts are in the labels. */
} mf_metric_type;

/** The values that a histogram expects. Fixes the recorded range and the exposed bounds. */
typedef enum mf_metric_scale {
    MF_SCALE_DURATION = 0, /**< Seconds, 2^-20 to 2^7; exposed bounds 2^-15 to 2^2. */
    MF_SCALE_SIZE = 1,     /**< Bytes, 2^0 to 2^36; exposed bounds 64 * 4^n, n = 0..9. */
    MF_SCALE_RATIO = 2,    /**< Shares, 0 to 1 in ten equal steps; exposed bounds 0.1 to 1. Exposed
                                in classic buckets only; quantiles are within 0.05. */
} mf_metric_scale;

#define MF_METRIC_LABELS_MAX 8        /**< Label names of one family. */
#define MF_METRIC_LABEL_VALUE_MAX 256 /**< Bytes of a label value; longer ones are cut. */
#define MF_METRIC_OTHER "_OTHER"      /**< Label value of the series that takes the overflow. */

/** Describes a family. Set by MF_METRIC_OPTIONS_INIT; zero means the default. */
typedef struct mf_metric_options {
    size_t struct_size;
    mf_metric_type type;
    const char *name;               /**< [a-zA-Z_:][a-zA-Z0-9_:]*, unit before "_total". Copied. */
    const char *help;               /**< One sentence. Copied. */
    const char *unit;               /**< "seconds", "bytes", ... or NULL; must end the name. */
    const char *const *label_names; /**< label_count names, [a-z_][a-z0-9_]*, or NULL. Copied. */
    size_t label_count;             /**< At most MF_METRIC_LABELS_MAX. */
    size_t max_series;              /**< Cap on label sets; default 1024. */
    mf_metric_scale scale;          /**< Histograms only. */
    double counter_factor; /**< Exposed value = count * factor; default 1. With 1e-9 a counter of
                                nanoseconds is exposed in seconds. */
} mf_metric_options;
#define MF_METRIC_OPTIONS_INIT MF_DETAIL_INIT(mf_metric_options)

/** Options of a set. Set by MF_METRICS_OPTIONS_INIT; zero means the default. */
typedef struct mf_metrics_options {
    size_t struct_size;
    size_t max_series; /**< Over all families; default 50,000. */
} mf_metrics_options;
#define MF_METRICS_OPTIONS_INIT MF_DETAIL_INIT(mf_metrics_options)

/**
 * Makes an empty set, for use without a runtime. A runtime has a set of its own.
 *
 * @param ret_metrics Not NULL. On MF_OK a set for mf_metrics_destroy(); untouched on failure.
 * @param options     NULL for defaults. Copied.
 * @param error       NULL, or filled on failure.
 * @return MF_OK, MF_ERR_INVALID_ARGUMENT, MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_metrics_create(mf_metrics **ret_metrics,
                                                const mf_metrics_options *options, mf_error *error);

/**
 * Frees a set with all its families and series.
 *
 * @param metrics NULL is a no-op.
 * @par Threads No other thread may use the set or its series any more.
 */
MF_API void mf_metrics_destroy(mf_metrics *metrics);

/**
 * Adds a family.
 *
 * @param metrics    Borrowed; not NULL.
 * @param options    Not NULL. Copied with all its texts.
 * @param ret_family Not NULL. On MF_OK the family, owned by the set; untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the broken rule; MF_ERR_EXISTS if a family has that
 *         name, or exposes it with a suffix; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking Short lock, not for the hot path.
 */
MF_API MF_NODISCARD mf_status mf_metrics_add(mf_metrics *metrics, const mf_metric_options *options,
                                             mf_family **ret_family, mf_error *error);

/**
 * Finds or makes the series with these label values.
 *
 * @param family Of the matching type; another type gives a series that is never exposed. NULL gives
 *               NULL.
 * @param values label_count texts in the order of label_names; NULL for a family without labels.
 *               A NULL value counts as "". Copied.
 * @return Owned by the set; NULL only for a NULL family. Beyond a cap, or without memory, the
 * series whose labels are all `_OTHER`, or a gauge that is not exposed; the set counts how often.
 * @par Threads  Thread-safe.
 * @par Blocking Short lock; keep the pointer instead of asking again.
 */
MF_API mf_counter *mf_family_counter(mf_family *family, const char *const *values);
MF_API mf_gauge *mf_family_gauge(mf_family *family, const char *const *values);
MF_API mf_histogram *mf_family_histogram(mf_family *family, const char *const *values);
MF_API mf_window *mf_family_window(mf_family *family, const char *const *values);
/** Makes an info series (MF_METRIC_INFO), whose value is always 1. Parameters, threads and blocking
 *  as above. */
MF_API void mf_family_info(mf_family *family, const char *const *values);

/**
 * Adds to a counter.
 *
 * @param counter NULL is a no-op.
 * @param n       In the counter's own unit, before counter_factor.
 * @par Threads Thread-safe, lock-free.
 */
MF_API void mf_counter_add(mf_counter *counter, uint64_t n);
/**
 * Reads a counter.
 *
 * @param counter NULL gives 0.
 * @return The sum of all additions, without counter_factor.
 * @par Threads Thread-safe.
 */
MF_API uint64_t mf_counter_value(const mf_counter *counter);

/**
 * Sets a gauge, or adds to it.
 *
 * @param gauge NULL is a no-op.
 * @param value The new value, in the unit of the family's name.
 * @param n     The difference, in the same unit; may be negative.
 * @par Threads Thread-safe, lock-free.
 */
MF_API void mf_gauge_set(mf_gauge *gauge, double value);
MF_API void mf_gauge_add(mf_gauge *gauge, double n);
/**
 * Reads a gauge.
 *
 * @param gauge NULL gives 0.
 * @return The present value.
 * @par Threads Thread-safe.
 */
MF_API double mf_gauge_value(const mf_gauge *gauge);

/**
 * Records one value. A negative value or NaN counts as 0; a value beyond the range counts in an
 * underflow or overflow cell.
 *
 * @param histogram NULL is a no-op.
 * @param value     Seconds, bytes or a share, by the family's scale.
 * @par Threads Thread-safe, lock-free; the first value in a new octave may allocate its cells.
 */
MF_API void mf_histogram_record(mf_histogram *histogram, double value);
/** As mf_histogram_record(), for a duration in nanoseconds. @par Threads The same. */
MF_API void mf_histogram_record_ns(mf_histogram *histogram, uint64_t duration_ns);

/** A merged reading. The count is the sum of the buckets. */
typedef struct mf_distribution {
    size_t struct_size; /**< Set by MF_DISTRIBUTION_INIT. */
    uint64_t count;
    double sum;                      /**< Seconds, bytes or shares. */
    double p50, p90, p95, p99, p999; /**< Within 1.1 %; NaN when count is 0. */
} mf_distribution;
#define MF_DISTRIBUTION_INIT MF_DETAIL_INIT(mf_distribution)

/**
 * Reads all values since the start.
 *
 * @param histogram        NULL is a no-op.
 * @param ret_distribution With struct_size set; filled. NULL is a no-op.
 * @par Threads Thread-safe; a writer never waits for it.
 */
MF_API void mf_histogram_read(const mf_histogram *histogram, mf_distribution *ret_distribution);

/**
 * Records a duration.
 *
 * @param window      NULL is a no-op.
 * @param duration_ns Nanoseconds.
 * @par Threads Thread-safe, lock-free.
 */
MF_API void mf_window_record_ns(mf_window *window, uint64_t duration_ns);
/**
 * Reads the quantiles of the last 60 s; count and sum are those since the start.
 *
 * @param window           NULL is a no-op.
 * @param ret_distribution With struct_size set; filled. NULL is a no-op.
 * @par Threads Thread-safe; a writer never waits for it.
 */
MF_API void mf_window_read(const mf_window *window, mf_distribution *ret_distribution);

/** Brings gauges up to date before a collection. Runs on the collecting thread; must not block or
 *  add families. */
typedef void (*mf_metrics_collect_fn)(void *user_data);
/**
 * Adds a function that runs before each collection, on the collecting thread.
 *
 * @param metrics   Borrowed; not NULL.
 * @param collect   Not NULL.
 * @param user_data Passed to collect; must live until the function is removed or the set destroyed.
 * @param error     NULL, or filled on failure.
 * @return MF_OK, MF_ERR_INVALID_ARGUMENT, MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe; collections run one after the other.
 */
MF_API MF_NODISCARD mf_status mf_metrics_add_collector(mf_metrics *metrics,
                                                       mf_metrics_collect_fn collect,
                                                       void *user_data, mf_error *error);
/**
 * Removes a collector. After the return the collector does not run again.
 *
 * @param metrics   Borrowed; NULL is a no-op.
 * @param collect   As it was added, together with user_data; any other pair is a no-op.
 * @param user_data See collect.
 * @par Threads  Thread-safe. Not from a collector.
 * @par Blocking For a running collection.
 */
MF_API void mf_metrics_remove_collector(mf_metrics *metrics, mf_metrics_collect_fn collect,
                                        void *user_data);

/** Exposition formats. */
typedef enum mf_metrics_format {
    MF_METRICS_PROMETHEUS_TEXT = 0, /**< Prometheus text 0.0.4. */
    MF_METRICS_OPENMETRICS = 1,     /**< OpenMetrics 1.0, with exemplars. */
    MF_METRICS_PROTOBUF = 2,        /**< Prometheus protobuf, delimited: with exemplars and native
                                         histograms. Bytes, no text. */
} mf_metrics_format;

/**
 * Runs the collectors and writes every family.
 *
 * @param metrics    Borrowed; not NULL.
 * @param format     The format.
 * @param ret_text   Not NULL. On MF_OK a NUL-terminated text for free(); untouched on failure.
 * @param ret_length On MF_OK the length in bytes, without the NUL.
 * @param error      NULL, or filled on failure.
 * @return MF_OK, MF_ERR_INVALID_ARGUMENT, MF_ERR_NO_MEMORY; MF_ERR_UNSUPPORTED for protobuf in a
 *         build without protobuf-c.
 * @par Threads  Thread-safe; a writer never waits for it.
 * @par Blocking For other collections and for the collectors.
 */
MF_API MF_NODISCARD mf_status mf_metrics_render(mf_metrics *metrics, mf_metrics_format format,
                                                char **ret_text, size_t *ret_length,
                                                mf_error *error);

MF_EXTERN_C_END

#endif
