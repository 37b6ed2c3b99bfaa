/* Health, evaluated apart from those who ask: a thread visits the probe once in every interval, and
 * endpoints and the service manager's thread read the last outcome. */
#ifndef MFI_METRICS_EVALUATION_H
#define MFI_METRICS_EVALUATION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <multifrost/probe.h>

#include "base/list.h"
#include "base/mutex.h"
#include "metrics/history.h"

#define MFI_CHECK_COMPONENT_MAX 100
#define MFI_CHECK_MEASUREMENT_MAX 66
#define MFI_CHECK_AFFECTED_MAX 64
#define MFI_NOTES_MAX 16 /* that a probe gives; further ones are left out */
#define MFI_NOTE_MAX 128
#define MFI_CHECK_NAME_MAX (MFI_CHECK_COMPONENT_MAX + MFI_CHECK_MEASUREMENT_MAX)

typedef struct mfi_check {
    char name[MFI_CHECK_NAME_MAX]; /* "component:measurement" */
    char component_type[16];
    mf_health status;
    unsigned gates;
    bool has_number;
    double number;
    char text[64], unit[16], output[512];
    uint64_t since_wall_ns; /* when the check got its status; 0: not known */
    size_t affected_count;
    char affected[MF_HEALTH_AFFECTED_MAX][MFI_CHECK_AFFECTED_MAX]; /* functions, cut */
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
    char (*notes)[MFI_NOTE_MAX];
    size_t note_count;
    mfi_cond evaluated; /* for threads that wait for an evaluation */
    uint64_t serial;    /* of the last evaluation */
    uint64_t began_ns, evaluated_ns, evaluated_wall_ns;
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
/* A copy of the notes of the last evaluation, for free(); NULL without notes or memory. */
char (*mfi_evaluation_notes(mfi_health *health, size_t *ret_count))[MFI_NOTE_MAX];
/* True if the evaluation is so old that a check must hang: /livez fails then. */
bool mfi_evaluation_hangs(const mfi_health *health, uint64_t age_ns);
/* The worst of the gate's checks in a copy. */
mf_health mfi_evaluation_gate(const mfi_check *checks, size_t count, unsigned gate);
/* Waits until an evaluation other than `serial` is there, *stop is true or the deadline has passed.
 * Returns the serial of the last evaluation. */
uint64_t mfi_evaluation_wait(mfi_health *health, uint64_t serial, uint64_t deadline_ns,
                             const _Atomic(bool) *stop);
/* When the last evaluation began, monotonic: it saw all that was there by then. */
uint64_t mfi_evaluation_began_ns(mfi_health *health);
/* Wakes the threads that wait, so that they look at their `stop`. */
void mfi_evaluation_wake(mfi_health *health);

#endif
