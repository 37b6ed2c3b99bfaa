/* What the demo's two files share: its state, and the load. */
#ifndef DEMO_H
#define DEMO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/multifrost.h>

#define DEMO_STATUSES 12

/* Calls of one function by call status, as the demo itself counts them. */
typedef struct demo_count {
    const char *target, *function;
    _Atomic(uint64_t) ended[DEMO_STATUSES];
} demo_count;

typedef struct demo_state {
    int64_t seconds; /* 0: until a signal */
    uint16_t port;
    const char *log_file, *counts_file;
    mf_runtime *runtime;
    mf_http *http;
    mf_admin *admin; /* NULL: no socket */
    mf_parent *c, *py;
    _Atomic(bool) stopping;         /* no more calls, because of a signal or the time */
    _Atomic(bool) quiescing;        /* no more calls, but the endpoint goes on */
    _Atomic(uint64_t) asynchronous; /* open calls */
} demo_state;

/* load.c. start begins to make calls until stopping is set; join returns when all have ended. */
void demo_load_start(demo_state *demo);
void demo_load_join(demo_state *demo);
/* Sums over all functions: the calls, and those whose status is not "ok". */
void demo_totals(uint64_t *ret_calls, uint64_t *ret_errors);
/* Writes {"math-c":{"add":{"ok":1}}}. */
bool demo_write_counts(const char *path);

#endif
