/* Makes pages one after the other. A rendering of all metrics takes milliseconds and may wait for
 * locks; the thread of libmicrohttpd, which answers the probes, must do neither. */
#include "http/collector.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"

static void do_jobs(const mfi_collector *collector, mfi_list *jobs)
{
    mfi_scrapes scrapes = {.of = {{.body = NULL}}};
    for (mfi_list_node *job = NULL; (job = mfi_list_pop_front(jobs)) != NULL;) {
        collector->make(job, &scrapes);
    }
    for (size_t i = 0; i < sizeof scrapes.of / sizeof scrapes.of[0]; i++) {
        free(scrapes.of[i].body);
    }
}

static void *run(void *argument)
{
    mfi_collector *collector = argument;
    mfi_mutex_lock(&collector->mutex);
    while (!collector->stopping || collector->waiting.first != NULL) {
        if (collector->waiting.first == NULL) {
            mfi_cond_wait(&collector->wake, &collector->mutex);
            continue;
        }
        mfi_list jobs = collector->waiting;
        collector->waiting = (mfi_list){NULL, NULL};
        collector->waiting_count = 0;
        mfi_mutex_unlock(&collector->mutex);
        do_jobs(collector, &jobs);
        mfi_mutex_lock(&collector->mutex);
    }
    mfi_mutex_unlock(&collector->mutex);
    return NULL;
}

bool mfi_collector_add(mfi_collector *collector, mfi_list_node *job,
                       void (*before)(mfi_list_node *job))
{
    mfi_mutex_lock(&collector->mutex);
    bool taken = !collector->stopping && collector->waiting_count < MFI_COLLECTOR_WAITING_MAX;
    if (taken) {
        before(job);
        mfi_list_push_back(&collector->waiting, job);
        collector->waiting_count++;
        mfi_cond_signal(&collector->wake);
    }
    mfi_mutex_unlock(&collector->mutex);
    return taken;
}

mf_status mfi_collector_start(mfi_collector *collector, mf_error *error)
{
    mfi_mutex_init(&collector->mutex);
    mfi_cond_init(&collector->wake);
    int started = mfi_thread_start(&collector->thread, "mf-http-collect", run, collector);
    collector->started = started == 0;
    if (!collector->started) {
        mfi_cond_fini(&collector->wake);
        mfi_mutex_fini(&collector->mutex);
        return mfi_fail_errno(error, MF_ERR_SYSTEM, started, "cannot start the HTTP collector");
    }
    return MF_OK;
}

void mfi_collector_stop(mfi_collector *collector)
{
    if (!collector->started) {
        return;
    }
    mfi_mutex_lock(&collector->mutex);
    collector->stopping = true;
    mfi_cond_signal(&collector->wake);
    mfi_mutex_unlock(&collector->mutex);
    (void)pthread_join(collector->thread, NULL);
}

void mfi_collector_fini(mfi_collector *collector)
{
    if (collector->started) {
        mfi_cond_fini(&collector->wake);
        mfi_mutex_fini(&collector->mutex);
    }
}
