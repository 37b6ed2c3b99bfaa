/* The set of a program's metrics: families, their series, and the visit with which exposition reads
 * them. */
#ifndef MFI_METRICS_METRIC_SET_H
#define MFI_METRICS_METRIC_SET_H

#include <multifrost/metrics.h>

#include "base/buf.h"
#include "base/mutex.h"
#include "metrics/instruments.h"

typedef struct mfi_series {
    struct mfi_series *next; /* sorted by label values */
    struct mfi_series *hash_next;
    uint64_t hash;
    uint64_t created_ns; /* wall clock */
    uint32_t holders; /* guarded by the family's mutex; 0: the series lives as long as its family */
    char *labels;     /* as exposed: a="x",b="y"; NULL for none */
    size_t labels_size;
    union {
        mf_counter counter;
        mf_gauge gauge;
        mf_histogram *histogram;
        mf_window *window;
    } as;
    char *values[]; /* label_count pointers; the same piece of memory holds their texts */
} mfi_series;

#define MFI_FAMILY_BUCKETS 64 /* of the hash table; power of two */

struct mf_family {
    struct mf_family *next; /* in the order of exposition */
    mf_metrics *metrics;
    mf_metric_type type;
    char *name, *help, *unit;
    size_t name_size;
    char **label_names;
    size_t label_count;
    size_t max_series;
    double counter_factor;
    const mfi_layout *layout;
    mfi_mutex mutex;
    mfi_series *series;                      /* guarded by mutex */
    mfi_series *buckets[MFI_FAMILY_BUCKETS]; /* guarded by mutex */
    size_t series_count;                     /* guarded by mutex */
    mfi_series *other; /* takes series beyond the cap; exposed once used, but for gauges */
    bool other_used;   /* guarded by mutex */
    bool hidden;       /* never exposed, because it takes series of a wrong type */
    void *segment;     /* segment.h: NULL, or where its series have their cells; owned */
};

/* As mf_metrics_create(), with memory and clock of the caller. */
mf_status mfi_metric_set_create_in(mf_metrics **ret_metrics, const mf_metrics_options *options,
                                   mfi_arena arena, const mfi_clock *clock, mf_error *error);
/* As mf_metrics_add(), for the library's rooms: accepts names that users may not take. */
mf_status mfi_metric_set_add(mf_metrics *metrics, const mf_metric_options *options,
                             mf_family **ret_family, mf_error *error);

/* The same, or the family that an earlier call with the same name, type and labels has added. */
mf_status mfi_metric_set_share(mf_metrics *metrics, const mf_metric_options *options,
                               mf_family **ret_family, mf_error *error);

/* Zeroed memory for a collector's data, owned by the set; NULL without memory. */
void *mfi_metric_set_keep(mf_metrics *metrics, size_t size);

/* Runs the collectors, then shows each family in order under the family's mutex: no thread can
 * make series meanwhile, but every thread can record. */
void mfi_metric_set_visit(mf_metrics *metrics, void (*visit)(mf_family *family, void *user_data),
                          void *user_data);
/* The same without the collectors: gauges are as the visit before left them. */
void mfi_metric_set_show(mf_metrics *metrics, void (*visit)(mf_family *family, void *user_data),
                         void *user_data);
/* Whether the collectors have run, so that gauges mean something. */
bool mfi_metric_set_was_visited(mf_metrics *metrics);

/* Merges all series of a histogram family whose label `label` has this value. */
void mfi_family_merge(mf_family *family, size_t label, const char *value, mfi_cells *ret_cells);

/* Shows the value of the last label, and the count, of each series of a counter family whose first
 * label has the value `first`. */
void mfi_family_count(mf_family *family, const char *first,
                      void (*visit)(const char *last, uint64_t count, void *user_data),
                      void *user_data);

/* A gauge that leaves the exposition when its last holder drops it. NULL if a cap leaves it out.
 * No other code may ask for the same series by mf_family_gauge(). drop: NULL is a no-op. */
mf_gauge *mfi_family_hold_gauge(mf_family *family, const char *const *values);
void mfi_family_drop_gauge(mf_family *family, mf_gauge *gauge);

/* ---- Shared by set and families ---- */

struct mfi_collector;

struct mf_metrics {
    mfi_heap_arena *heap; /* NULL when the caller supplied the arena */
    mfi_arena arena;
    const mfi_clock *clock;
    size_t max_series;
    mfi_mutex mutex;                  /* taken before a family's */
    mf_family *families;              /* guarded by mutex */
    struct mfi_collector *collectors; /* guarded by collecting */
    mfi_mutex collecting;             /* serialises collections; taken before mutex */
    mfi_mutex cells;                  /* guards page and page_used; taken last */
    mfi_counter_page *page;
    uint32_t page_used;
    _Atomic(size_t) series_count;
    _Atomic(bool) was_visited; /* relaxed: a family's mutex orders what the collectors wrote */
    mf_family *folded, *series, *limit; /* metrics about the set itself */
};

/* For segment.h: new series have their cells where `segment` says. Takes it, as one piece of the
 * heap. False if the family has series already, or without memory. */
bool mfi_family_keep_in(mf_family *family, void *segment);

/* Makes a family that is in no set yet. NULL without memory. */
mf_family *mfi_family_make(mf_metrics *metrics, const mf_metric_options *options);
void mfi_family_free(mf_family *family);

#endif
