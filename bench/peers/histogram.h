/* Boost.Histogram with thread-safe cells and as many logarithmic buckets as ours. */
#ifndef BENCH_PEERS_HISTOGRAM_H
#define BENCH_PEERS_HISTOGRAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bench_boost_histogram bench_boost_histogram;
bench_boost_histogram *bench_boost_histogram_make(void);
void bench_boost_histogram_record(bench_boost_histogram *histogram, uint64_t duration_ns);
uint64_t bench_boost_histogram_count(const bench_boost_histogram *histogram);
void bench_boost_histogram_end(bench_boost_histogram *histogram);

#ifdef __cplusplus
}
#endif

#endif
