/* Parents in one runtime, whose workers are the test's own program again. The workers' handlers
 * count in memory that the test shares. */
#ifndef TESTS_INTEGRATION_FAMILY_SUPPORT_H
#define TESTS_INTEGRATION_FAMILY_SUPPORT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/multifrost.h>

#include "mf_test.h"

enum { WORKERS = 4 };

typedef struct family_map {
    _Atomic(uint64_t) entries[WORKERS]; /* of handlers */
    _Atomic(uint32_t) held;             /* a handler "hold" waits while this is 1 */
} family_map;

typedef struct family_caller {
    mf_parent *parent;
    pthread_t thread;
    _Atomic(bool) *stop;
    uint64_t made; /* calls that began */
} family_caller;

typedef struct family {
    mf_runtime *runtime;
    family_map *shared;
    char path[200];
    family_caller callers[WORKERS];
    _Atomic(bool) stop;
    char *text; /* of the last scrape */
} family;

/* So many parents are ready, each with a worker of the target "family", which handles "count" and
 * "hold". */
void family_begin(family *at, unsigned workers, mf_runtime_options *options);
void family_end(family *at);

/* Reads the page of the runtime into `text`. */
void family_scrape(family *at);
/* The value of one series of the last scrape; -1 if it is not there. */
int64_t family_value(const family *at, const char *series);
/* The sum over the series of a family whose labels have this part. */
int64_t family_sum(const family *at, const char *name, const char *part);

/* The main of such a program: runs the tests, or is a worker. */
int family_main(int argc, char **argv, const mf_test *tests, size_t count);

#endif
