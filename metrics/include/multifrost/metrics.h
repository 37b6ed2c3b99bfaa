/**
 * @file metrics.h
 * Counters, gauges, histograms and latency windows, in families with bounded labels.
 *
 * Recording is lock-free, allocates nothing and takes some ten nanoseconds: each thread writes to a
 * shard of its own, and whoever reads pays for the merge. A family is described once; its series
 * are found (or made) by label values, and the pointer is kept by the caller, so that the hot path
 * never looks anything up. A family that is full folds further label values into one series whose
 * labels say `_OTHER`: no caller can make memory or a scrape grow without bound.
 *
 * Families and series live as long as their set. Nothing here is ever NULL on success.
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

/** What a family holds, and how it is exposed. */
typedef enum mf_metric_type {
    MF_METRIC_COUNTER = 1, /**< Name must end in "_total". */
    MF_METRIC_GAUGE = 2,
    MF_METRIC_HISTOGRAM = 3, /**< Base-2 exponential, exposed as classic buckets. */
    MF_METRIC_WINDOW = 4,    /**< Exposed as a summary with quantiles 0.5 to 0.999. */
    MF_METRIC_INFO = 5,      /**< Constant 1; the facts are in the labels. */
} mf_metric_type;

/** Which values a histogram expects: fixes the recorded range and the exposed bounds. */
typedef enum mf_metric_scale {
    MF_SCALE_DURATION = 0, /**< Seconds, 2^-20 to 2^7; exposed bounds 2^-15 to 2^2. */
    MF_SCALE_SIZE = 1,     /**< Bytes, 2^0 to 2^36; exposed bounds 64 * 4^n, n = 0..9. */
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
    double counter_factor; /**< Exposed value = count * factor; default 1. A counter kept in
                                nanoseconds is exposed in seconds with 1e-9. */
} mf_metric_options;
#define MF_METRIC_OPTIONS_INIT MF_DETAIL_INIT(mf_metric_options)

/** Options of a set. Set by MF_METRICS_OPTIONS_INIT; zero means the default. */
typedef struct mf_metrics_options {
    size_t struct_size;
    size_t max_series; /**< Over all families; default 20,000. */
} mf_metrics_options;
#define MF_METRICS_OPTIONS_INIT MF_DETAIL_INIT(mf_metrics_options)

/**
 * Makes an empty set. A runtime brings its own; this is for use without one.
 *
 * @param ret_metrics On MF_OK a set for mf_metrics_destroy(); untouched on failure.
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
 * @param metrics NULL is a no-op. No other thread may use it or its series any more.
 */
MF_API void mf_metrics_destroy(mf_metrics *metrics);

/**
 * Adds a family.
 *
 * @param metrics    Borrowed.
 * @param options    Not NULL. Copied with all its texts.
 * @param ret_family On MF_OK the family, owned by the set; untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming what broke the naming rules; MF_ERR_EXISTS if the
 *         name is taken (by a family or by one of its exposed suffixes); MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking Short lock, not for the hot path.
 */
MF_API MF_NODISCARD mf_status mf_metrics_add(mf_metrics *metrics, const mf_metric_options *options,
                                             mf_family **ret_family, mf_error *error);

/**
 * Finds or makes the series with these label values.
 *
 * @param family Of the matching type; another type gives a series that is never exposed.
 * @param values label_count texts in the order of label_names; NULL for a family without labels.
 *               A NULL value counts as "". Copied.
 * @return Never NULL; owned by the set. Beyond a cap (or without memory) the series whose
 *         labels are all `_OTHER`, and the fold is counted.
 * @par Threads  Thread-safe.
 * @par Blocking Short lock; keep the pointer instead of asking again.
 */
MF_API mf_counter *mf_family_counter(mf_family *family, const char *const *values);
MF_API mf_gauge *mf_family_gauge(mf_family *family, const char *const *values);
MF_API mf_histogram *mf_family_histogram(mf_family *family, const char *const *values);
MF_API mf_window *mf_family_window(mf_family *family, const char *const *values);
/** Makes an info series (MF_METRIC_INFO), whose value is always 1. Rules as above. */
MF_API void mf_family_info(mf_family *family, const char *const *values);

/** Adds n. @par Threads Thread-safe, lock-free. */
MF_API void mf_counter_add(mf_counter *counter, uint64_t n);
/** Sum of all that was added, without counter_factor. @par Threads Thread-safe. */
MF_API uint64_t mf_counter_value(const mf_counter *counter);

/** Sets, or adds to (n may be negative), a gauge. @par Threads Thread-safe, lock-free. */
MF_API void mf_gauge_set(mf_gauge *gauge, double value);
MF_API void mf_gauge_add(mf_gauge *gauge, double n);
/** Present value. @par Threads Thread-safe. */
MF_API double mf_gauge_value(const mf_gauge *gauge);

/**
 * Records one value (seconds or bytes, by the family's scale). Negative values and NaN count as 0,
 * values beyond the range go to an under- or overflow cell: each is counted, none is lost.
 * @par Threads Thread-safe, lock-free; the first value in a new octave may allocate its cells.
 */
MF_API void mf_histogram_record(mf_histogram *histogram, double value);
/** As mf_histogram_record() for a duration in nanoseconds. */
MF_API void mf_histogram_record_ns(mf_histogram *histogram, uint64_t duration_ns);

/** A merged reading. The count is the sum of the buckets. */
typedef struct mf_distribution {
    size_t struct_size; /**< Set by MF_DISTRIBUTION_INIT. */
    uint64_t count;
    double sum;                      /**< Seconds or bytes. */
    double p50, p90, p95, p99, p999; /**< Within 1.1 %; NaN when count is 0. */
} mf_distribution;
#define MF_DISTRIBUTION_INIT MF_DETAIL_INIT(mf_distribution)

/** Reads all values since the start. @par Threads Thread-safe; never stops a writer. */
MF_API void mf_histogram_read(const mf_histogram *histogram, mf_distribution *ret_distribution);

/** Records a duration in nanoseconds. @par Threads Thread-safe, lock-free. */
MF_API void mf_window_record_ns(mf_window *window, uint64_t duration_ns);
/** Reads the last 60 s; count and sum are since the start. @par Threads Thread-safe. */
MF_API void mf_window_read(const mf_window *window, mf_distribution *ret_distribution);

/** Called before every collection, to bring gauges up to date. Must not block or add families. */
typedef void (*mf_metrics_collect_fn)(void *user_data);
/**
 * Registers a function that runs before each collection, on the collecting thread.
 * @return MF_OK, MF_ERR_INVALID_ARGUMENT, MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe; collections are serialised.
 */
MF_API MF_NODISCARD mf_status mf_metrics_add_collector(mf_metrics *metrics,
                                                       mf_metrics_collect_fn collect,
                                                       void *user_data, mf_error *error);
/** Takes a collector out again; after the return it runs no more. Unknown ones are a no-op. */
MF_API void mf_metrics_remove_collector(mf_metrics *metrics, mf_metrics_collect_fn collect,
                                        void *user_data);

/** Exposition formats. */
typedef enum mf_metrics_format {
    MF_METRICS_PROMETHEUS_TEXT = 0, /**< Prometheus text 0.0.4. */
    MF_METRICS_OPENMETRICS = 1,     /**< OpenMetrics 1.0. */
} mf_metrics_format;

/**
 * Collects and renders every family.
 *
 * @param ret_text On MF_OK a text for free(), NUL-terminated; its length goes to ret_length.
 * @return MF_OK, MF_ERR_INVALID_ARGUMENT, MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe; never stops a writer.
 * @par Blocking For other collections and the registered collectors.
 */
MF_API MF_NODISCARD mf_status mf_metrics_render(mf_metrics *metrics, mf_metrics_format format,
                                                char **ret_text, size_t *ret_length,
                                                mf_error *error);

MF_EXTERN_C_END

#endif
