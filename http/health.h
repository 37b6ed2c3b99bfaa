/* Health, evaluated off the request path: a thread asks the probe once in every interval, and
 * requests read the last outcome. */
#ifndef MFI_HTTP_HEALTH_H
#define MFI_HTTP_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include <multifrost/probe.h>

#include "base/list.h"
#include "base/mutex.h"
#include "http/history.h"

#define MFI_CHECK_COMPONENT_MAX 100
#define MFI_CHECK_MEASUREMENT_MAX 66
#define MFI_CHECK_NAME_MAX (MFI_CHECK_COMPONENT_MAX + MFI_CHECK_MEASUREMENT_MAX)

typedef struct mfi_check {
    char name[MFI_CHECK_NAME_MAX]; /* "component:measurement" */
    char component_type[16];
    mf_health status;
    unsigned gates;
    bool has_number;
    double number;
    char text[64], unit[16], output[512];
    mf_gauge *gauges[3]; /* of the first row of a name: held for each status; or NULL */
} mfi_check;

typedef struct mfi_health {
    mfi_list_node node; /* in the list of all; guarded by its mutex, as is the next member */
    unsigned users;
    const mf_probe *probe;
    _Atomic(int64_t) interval_ms;
    mf_family *family;
    mfi_history history; /* fed after an evaluation; has a mutex of its own */
    pthread_t thread;
    bool started;
    mfi_mutex mutex; /* guards the members below, and the thread's sleep */
    mfi_cond wake;
    bool stopping;
    bool is_due; /* a row came or went since the last evaluation began */
    mfi_check *checks;
    size_t count;
    uint64_t evaluated_ns, evaluated_wall_ns;
} mfi_health;

mf_status mfi_evaluation_start(mfi_health *health, const mf_probe *probe, int64_t interval_ms,
                               mf_error *error);
void mfi_evaluation_stop(mfi_health *health);

/* The evaluation of a probe, which all its endpoints share: only one thread at a time may visit the
 * checks, and a change is reported once. It runs at the shortest of their intervals. */
mf_status mfi_evaluation_share(mfi_health **ret_health, const mf_probe *probe, int64_t interval_ms,
                               mf_error *error);
/* The last one of those that share it stops it. NULL is a no-op. */
void mfi_evaluation_release(mfi_health *health);

/* A copy of the last evaluation, for free(); NULL without memory. */
mfi_check *mfi_evaluation_copy(mfi_health *health, size_t *ret_count, uint64_t *ret_wall_ns,
                               uint64_t *ret_age_ns);

#endif
