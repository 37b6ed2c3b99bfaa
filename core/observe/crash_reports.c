/* Turns the reports of ends into rows of the black box (crashes.c). It exists apart from the box,
 * which knows nothing of targets. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/observe/parts.h"

void mfi_crash_add_running(mfi_running_calls *to, const char *function, const char *correlation_id,
                           uint64_t age_ns)
{
    to->all++;
    if (to->named < MFI_OPEN_CALLS_MAX) {
        mfi_open_call *call = &to->list[to->named++];
        *call = (mfi_open_call){.age_ns = age_ns};
        (void)mfi_str_copy(call->function, sizeof call->function, function);
        (void)mfi_str_copy(call->correlation_id, sizeof call->correlation_id,
                           correlation_id != NULL ? correlation_id : "");
    }
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)MFI_NS_PER_S;
}

static void show_calls(mf_crash_call *to, const mfi_open_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (mf_crash_call){.function = calls[i].function,
                                .correlation_id = mfi_str_or_null(calls[i].correlation_id),
                                .age_seconds = seconds(calls[i].age_ns),
                                .attempt = calls[i].attempt};
    }
}

static mfi_crash_end end_of(const mfi_process_event *event)
{
    return event->reason != MFI_RESTART_NONE ? MFI_CRASH_KILLED
           : !event->exit_known              ? MFI_CRASH_UNKNOWN
           : event->signal != 0              ? MFI_CRASH_SIGNAL
                                             : MFI_CRASH_EXIT;
}

/* The last lines are no C string. NULL: there are none. */
static const char *lines_of(char to[MFI_CRASH_LINES_MAX + 1], const char *text, size_t size)
{
    if (text == NULL || size == 0) {
        return NULL;
    }
    (void)mfi_str_copy_n(to, MFI_CRASH_LINES_MAX + 1, text, size);
    return to;
}

void mfi_crashed_process(mfi_target *target, const mfi_process_event *event)
{
    static const mfi_remains nothing = {0};
    const mfi_remains *remains = event->remains != NULL ? event->remains : &nothing;
    mf_crash_call calls[MFI_OPEN_CALLS_MAX];
    mf_crash_call running[MFI_OPEN_CALLS_MAX];
    char lines[3][MFI_CRASH_LINES_MAX + 1];
    char signal_name[24];
    if (event->what != MFI_PROCESS_EXITED || event->expected) {
        return;
    }
    const char *name = event->signal != 0 ? sigabbrev_np(event->signal) : NULL;
    (void)mfi_str_format(signal_name, sizeof signal_name, "SIG%s", name != NULL ? name : "?");
    mf_crash_row row = {
        .struct_size = sizeof row,
        .at_wall_ns = mfi_wall_ns(),
        .target = target->name,
        .worker = target->worker,
        .pid = event->pid,
        .how = mfi_crash_end_word(end_of(event)),
        .killed_for = event->reason != MFI_RESTART_NONE ? mfi_restart_word(event->reason) : NULL,
        .text = event->text,
        .exit_code = event->exit_known && event->signal == 0 ? event->exit_code : -1,
        .signal = event->exit_known ? event->signal : 0,
        .signal_name = event->exit_known && event->signal != 0 ? signal_name : NULL,
        .core_dumped = event->dumped_core,
        .core_pattern = event->core_pattern,
        .was_ready = event->was_ready,
        .uptime_seconds = seconds(event->uptime_ns),
        .has_usage = remains->max_rss_kib > 0,
        .cpu_user_seconds = (double)remains->user_us / 1e6,
        .cpu_system_seconds = (double)remains->system_us / 1e6,
        .max_rss_bytes = (uint64_t)remains->max_rss_kib * 1024,
        .next = mfi_crash_next_word(event->next),
        .restart_in_seconds = (double)event->restart_in_ms / 1000,
        .restarts_in_period = event->restarts_in_period,
        .restarts_permitted = event->restarts_allowed,
        .open_calls = event->pending_failed,
        .call_count = remains->named,
        .calls = calls,
        .running_calls = remains->running != NULL ? remains->running->all : 0,
        .running_count = remains->running != NULL ? remains->running->named : 0,
        .running = running,
        .err = lines_of(lines[0], remains->err, remains->err_size),
        .out = lines_of(lines[1], remains->out, remains->out_size),
        .log = lines_of(lines[2], remains->log, remains->log_size)};
    show_calls(calls, remains->calls, row.call_count);
    if (remains->running != NULL) {
        show_calls(running, remains->running->list, row.running_count);
    }
    mfi_crashes_add(&target->observer->crashes, &row);
}

void mfi_crashed_service(mfi_target *target, const mfi_vanished_event *event)
{
    mf_crash_call calls[MFI_OPEN_CALLS_MAX];
    mf_crash_row row = {.struct_size = sizeof row,
                        .at_wall_ns = event->at_wall_ns,
                        .target = target->name,
                        .worker = target->worker,
                        .pid = event->pid,
                        .how = mfi_crash_end_word(MFI_CRASH_VANISHED),
                        .text = event->text,
                        .exit_code = -1,
                        .was_ready = true,
                        .next = mfi_crash_next_word(MFI_NEXT_SEARCH),
                        .open_calls = event->pending_failed,
                        .call_count = event->named,
                        .calls = calls};
    show_calls(calls, event->calls, event->named);
    mfi_crashes_add(&target->observer->crashes, &row);
}
