/* A worker's segment and its parent's reader in one process, and what the reader adds up. */
#ifndef SEGMENT_SUPPORT_H
#define SEGMENT_SUPPORT_H

#include "metric_support.h"
#include "metrics/segment.h"
#include "metrics/segment_layout.h"

extern const char *const segment_labels[3]; /* of both families: worker, function, status */
extern const mfi_segment_place calls_place;

typedef struct pair {
    int fd;
    mfi_segment *segment;
    mfi_segment_reader *reader;
    mf_metrics *metrics;
    mf_family *calls, *duration;
} pair;

/* size 0: the default. */
void pair_begin(pair *at, size_t size);
void pair_end(pair *at);
mf_counter *counter_of(const pair *at, const char *function, const char *status);
mf_histogram *histogram_of(const pair *at, const char *function, const char *status);

/* What the parent has added up of one series, and of all. */
typedef struct totals {
    mfi_segment_family family;
    const char *function;
    unsigned word;
    uint64_t count, sum; /* of that series */
    unsigned visits;     /* of that series */
    uint64_t all;
    unsigned all_visits;
} totals;
/* Collects once: what it brought of that series, and of all. */
totals collect(mfi_segment_reader *reader, mfi_segment_family family, const char *function,
               unsigned word);
mfi_segment_facts facts_of(const pair *at);
/* The whole segment, writable, as a program that scribbles sees it. */
mfi_segment_head *scribble_on(const pair *at);

#endif
