/* The series of handlers, `multifrost_server_*`. A worker shows its own; a parent shows those of
 * its worker, with the label `target` too (segments.c). */
#ifndef MFI_OBSERVE_SERVING_H
#define MFI_OBSERVE_SERVING_H

#include "core/observe/parts.h"

/* The worker's own series, at zero, but for those of its functions. */
void mfi_serving_make(mfi_target *target);

/* The values of the first two labels, target and worker. own: a gauge, which names its owner even
 * where counters fold. */
void mfi_serving_names(const mfi_target *target, bool own, const char *ret_names[2]);
/* Holds the gauges of a worker, if they are not held yet. */
void mfi_serving_hold(mfi_target *target);
void mfi_serving_add(mfi_server_gauges *sum, const mfi_server_gauges *more);
void mfi_serving_show(mfi_target *target, const mfi_server_gauges *gauges);
/* Holds and shows the age of the running handler alone: a worker of another language says no more.
 */
void mfi_serving_show_age(mfi_target *target, double seconds);
/* The opposite of _hold. The age of the running handler stays: heartbeats tell it too, and it is 0
 * where no worker runs. */
void mfi_serving_let_go(mfi_target *target);
/* All gauges leave the exposition. */
void mfi_serving_end(mfi_target *target);

#endif
