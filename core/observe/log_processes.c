/* The log records of worker processes: starts, ends, crashes, restarts. It exists apart from
 * log_events.c because a crash leaves much to say in one record of bounded size. */
#include "base/clock.h"
#include "base/str.h"
#include "core/observe/parts.h"
#include "logging/record.h"

#define OPEN_CALLS_BYTES 640 /* of the text that names calls; the record holds 2 KiB in all */

/* "add id=6f1d age_ms=12; mul age_ms=3". Ids are left out if the logger has no_correlation_ids. */
static void add_calls(mfi_record *record, const char *key, const char *more_key,
                      const mfi_open_call *calls, uint32_t count, uint64_t total)
{
    char text[OPEN_CALLS_BYTES];
    size_t used = 0;
    uint32_t named = 0;
    bool has_ids = mfi_logged_shows_ids(record);
    for (; named < count; named++) {
        const mfi_open_call *call = &calls[named];
        char one[sizeof call->function + sizeof call->correlation_id + 40];
        bool has_id = has_ids && call->correlation_id[0] != '\0';
        size_t size =
            mfi_str_format(one, sizeof one, "%s%s%s%s age_ms=%llu", named > 0 ? "; " : "",
                           call->function, has_id ? " id=" : "", has_id ? call->correlation_id : "",
                           (unsigned long long)(call->age_ns / MFI_NS_PER_MS));
        if (used + size >= sizeof text) {
            break;
        }
        memcpy(text + used, one, size);
        used += size;
    }
    if (named > 0) {
        mfi_record_strn(record, key, text, used);
    }
    if (total > named) {
        mfi_record_uint(record, more_key, total - named);
    }
}

static void add_remains(mfi_record *record, const mfi_process_event *event)
{
    const mfi_remains *remains = event->remains;
    if (event->what == MFI_PROCESS_EXITED) {
        add_calls(record, "open_calls", "more_calls", remains->calls, remains->named,
                  event->pending_failed);
        if (remains->running != NULL) {
            add_calls(record, "running_calls", "more_running", remains->running->list,
                      remains->running->named, remains->running->all);
        }
    }
    if (remains->max_rss_kib > 0) {
        mfi_record_int(record, "cpu_user_ms", remains->user_us / 1000);
        mfi_record_int(record, "cpu_system_ms", remains->system_us / 1000);
        mfi_record_int(record, "max_rss_kib", remains->max_rss_kib);
    }
    if (remains->err_size > 0) {
        mfi_record_strn(record, "stderr", remains->err, remains->err_size);
    }
    if (remains->out_size > 0) {
        mfi_record_strn(record, "stdout", remains->out, remains->out_size);
    }
    if (remains->log_size > 0) {
        mfi_record_strn(record, "worker_log", remains->log, remains->log_size);
    }
}

/* The facts about a crash that stand before the lists, which may be cut. */
static void add_crash(mfi_record *record, const mfi_process_event *event)
{
    mfi_record_str(record, "next", mfi_crash_next_word(event->next));
    if (event->restarts_allowed != 0) {
        mfi_record_uint(record, "max", event->restarts_allowed);
    }
    if (event->uptime_ns != 0) {
        mfi_record_uint(record, "uptime_ms", event->uptime_ns / MFI_NS_PER_MS);
    }
    if (event->signal != 0) {
        mfi_record_bool(record, "core_dumped", event->dumped_core);
        mfi_record_str(record, "core_pattern", event->core_pattern);
    }
}

/* is_crash: the record of an end that nobody asked for. */
static void log_event(const mfi_target *target, mf_log_level level, const char *name,
                      const char *message, const mfi_process_event *event, bool is_crash)
{
    mfi_record on_stack;
    mfi_record *record = mfi_log_begin(target->observer->logger, level, name, &on_stack);
    if (record == NULL) {
        return;
    }
    mfi_record_message(record, "Worker %s %s%s%s", target->worker, message,
                       event->text != NULL ? ": " : "", event->text != NULL ? event->text : "");
    mfi_logged_target(record, target);
    mfi_record_context(record, event->context);
    if (event->what == MFI_PROCESS_READY) {
        mfi_record_ms(record, "duration_ms", event->duration_ns);
    }
    if (event->what == MFI_PROCESS_EXITED && event->exit_known) {
        if (event->signal != 0) {
            mfi_record_int(record, "signal", event->signal);
        } else {
            mfi_record_int(record, "exit_code", event->exit_code);
        }
    }
    mfi_record_str(record, "reason",
                   event->reason != MFI_RESTART_NONE ? mfi_restart_word(event->reason)
                                                     : event->text);
    if (event->what == MFI_PROCESS_RESTART || (is_crash && event->next == MFI_NEXT_RESTART)) {
        mfi_record_uint(record, "restart_in_ms", event->restart_in_ms);
        mfi_record_uint(record, "restarts_in_period", event->restarts_in_period);
    }
    mfi_record_object_begin(record, "fields");
    if (event->what == MFI_PROCESS_RESTART) {
        mfi_record_uint(record, "attempt", event->restart_attempt);
        if (event->restarts_allowed != 0) {
            mfi_record_uint(record, "max", event->restarts_allowed);
        }
    }
    if (event->pid != 0) {
        mfi_record_int(record, "worker_pid", event->pid);
    }
    if (event->pending_failed != 0) {
        mfi_record_uint(record, "pending_failed", event->pending_failed);
    }
    if (is_crash) {
        add_crash(record, event);
    }
    if (event->remains != NULL) {
        add_remains(record, event);
    }
    mfi_record_object_end(record);
    (void)mfi_log_commit(record);
}

static void log_process_event(const mfi_target *target, mf_log_level level, const char *name,
                              const char *message, const mfi_process_event *event)
{
    log_event(target, level, name, message, event, false);
}

/* worker_crash alone has what the worker left behind. */
static void log_exit(const mfi_target *target, const mfi_process_event *event)
{
    bool clean = event->expected || (event->exit_known && event->exit_code == 0);
    mfi_process_event plain = *event;
    plain.remains = NULL;
    log_process_event(target, clean ? MF_LOG_INFO : MF_LOG_WARN, "process_exit", "ended", &plain);
    if (!event->expected) {
        log_event(target, MF_LOG_ERROR, "worker_crash",
                  event->reason != MFI_RESTART_NONE ? "is lost" : "ended by itself", event, true);
    }
}

void mfi_logged_process(const mfi_target *target, const mfi_process_event *event)
{
    switch (event->what) {
    case MFI_PROCESS_SPAWNED:
        log_process_event(target, MF_LOG_INFO, "process_spawn", "spawned", event);
        break;
    case MFI_PROCESS_READY:
        log_process_event(target, MF_LOG_INFO, "worker_start", "is ready", event);
        break;
    case MFI_PROCESS_EXITED:
        log_exit(target, event);
        break;
    case MFI_PROCESS_FAILED:
        log_process_event(target, MF_LOG_ERROR, "worker_stop", "did not start", event);
        break;
    case MFI_PROCESS_STOPPED:
        log_process_event(target, MF_LOG_INFO, "worker_stop", "stopped", event);
        break;
    case MFI_PROCESS_RESTART:
        log_process_event(target, MF_LOG_WARN, "worker_restart", "will start again", event);
        break;
    case MFI_PROCESS_GAVE_UP:
        log_process_event(target, MF_LOG_ERROR, "worker_stop", "is given up", event);
        break;
    }
}
