/* The thread that makes the pages which take long, so that a scrape never holds up a probe. */
#ifndef MFI_HTTP_COLLECTOR_H
#define MFI_HTTP_COLLECTOR_H

#include <pthread.h>
#include <stdbool.h>

#include <multifrost/error.h>

#include "base/list.h"
#include "base/mutex.h"
#include "http/pages.h"

#define MFI_COLLECTOR_WAITING_MAX 4 /* jobs that wait while another one is done */

typedef struct mfi_collector {
    /* Does one job. Jobs that waited together share `scrapes`: each came before any of them was
     * begun. */
    void (*make)(mfi_list_node *job, mfi_scrapes *scrapes);
    pthread_t thread;
    bool started;
    mfi_mutex mutex; /* guards the members below */
    mfi_cond wake;
    mfi_list waiting;
    size_t waiting_count;
    bool stopping;
} mfi_collector;

/* Starts the thread. The caller has set `make`. */
mf_status mfi_collector_start(mfi_collector *collector, mf_error *error);
/* Does the jobs that wait, and ends the thread; later jobs are not taken. All zero is a no-op. */
void mfi_collector_stop(mfi_collector *collector);
/* After the last job was refused. All zero is a no-op. */
void mfi_collector_fini(mfi_collector *collector);
/* False if too many jobs wait, or the collector stops. `before` is called for a job that is taken,
 * before it can be done. */
bool mfi_collector_add(mfi_collector *collector, mfi_list_node *job,
                       void (*before)(mfi_list_node *job));

#endif
