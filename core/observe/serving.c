/* Makes and shows the series of handlers. It exists so that a worker and the parent of one, which
 * differ in the labels alone, have one list of these series. */
#include "core/observe/serving.h"

#include "core/observe/holding.h"

void mfi_serving_names(const mfi_target *target, bool own, const char *ret_names[2])
{
    const char *worker = own ? target->worker : target->worker_label;
    const char *name = own ? target->name : target->label;
    /* A worker does not know which target it belongs to. */
    ret_names[0] = target->is_server ? "" : name;
    ret_names[1] = target->is_server ? name : worker;
}

void mfi_serving_hold(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    mfi_serving_gauges *gauges = &target->serving;
    const char *names[3];
    if (gauges->in_flight != NULL) {
        return;
    }
    mfi_serving_names(target, true, names);
    gauges->in_flight = mfi_hold(target, families->server_in_flight, names);
    gauges->waiting = mfi_hold(target, families->server_queue_depth, names);
    gauges->waiting_bytes = mfi_hold(target, families->server_queue_bytes, names);
    for (size_t i = 0; i < MFI_THREAD_COUNT; i++) {
        names[2] = mfi_thread_word((mfi_thread_state)i);
        gauges->threads[i] = mfi_hold(target, families->server_threads, names);
    }
}

void mfi_serving_make(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    const char *names[3];
    mfi_serving_names(target, false, names);
    target->queue_wait = mf_family_histogram(families->server_queue_wait, names);
    target->unknown = mf_family_counter(families->server_unknown, names);
    target->busy = mf_family_counter(families->server_busy, names);
    for (size_t i = 0; i < MFI_EXPIRY_COUNT; i++) {
        names[2] = mfi_expiry_word((mfi_expiry)i);
        target->expired[i] = mf_family_counter(families->server_expired, names);
    }
    mfi_serving_hold(target);
    mfi_serving_show_age(target, 0);
}

void mfi_serving_add(mfi_server_gauges *sum, const mfi_server_gauges *more)
{
    sum->handlers_busy += more->handlers_busy;
    sum->handlers += more->handlers;
    sum->queue_depth += more->queue_depth;
    sum->queue_bytes += more->queue_bytes;
    if (more->handler_seconds > sum->handler_seconds) {
        sum->handler_seconds = more->handler_seconds;
    }
}

void mfi_serving_show(mfi_target *target, const mfi_server_gauges *gauges)
{
    const mfi_serving_gauges *shown = &target->serving;
    uint64_t idle =
        gauges->handlers > gauges->handlers_busy ? gauges->handlers - gauges->handlers_busy : 0;
    mfi_show(shown->in_flight, (double)gauges->handlers_busy);
    mfi_show(shown->threads[MFI_THREAD_BUSY], (double)gauges->handlers_busy);
    mfi_show(shown->threads[MFI_THREAD_IDLE], (double)idle);
    mfi_show(shown->waiting, (double)gauges->queue_depth);
    mfi_show(shown->waiting_bytes, (double)gauges->queue_bytes);
    mfi_serving_show_age(target, gauges->handler_seconds);
}

void mfi_serving_show_age(mfi_target *target, double seconds)
{
    if (target->serving.age == NULL) {
        const char *names[2];
        mfi_serving_names(target, true, names);
        target->serving.age =
            mfi_hold(target, target->observer->families.server_running_age, names);
    }
    mfi_show(target->serving.age, seconds);
}

void mfi_serving_let_go(mfi_target *target)
{
    const mfi_families *families = &target->observer->families;
    mfi_serving_gauges *gauges = &target->serving;
    mfi_drop(families->server_in_flight, &gauges->in_flight);
    mfi_drop(families->server_queue_depth, &gauges->waiting);
    mfi_drop(families->server_queue_bytes, &gauges->waiting_bytes);
    for (size_t i = 0; i < MFI_THREAD_COUNT; i++) {
        mfi_drop(families->server_threads, &gauges->threads[i]);
    }
}

void mfi_serving_end(mfi_target *target)
{
    mfi_serving_let_go(target);
    mfi_drop(target->observer->families.server_running_age, &target->serving.age);
}
