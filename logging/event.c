/* Records the events of the program itself: checks names, copies keys and texts, and adds the ids
 * of the running call. */
#include <string.h>

#include "base/context.h"
#include "logging/record.h"

#define EVENT_MAX 64 /* bytes of an event's name */

static bool is_own_event(const char *event)
{
    static const char *const own[] = {"request_start",
                                      "request_complete",
                                      "request_error",
                                      "request_timeout",
                                      "worker_start",
                                      "worker_stop",
                                      "worker_restart",
                                      "process_spawn",
                                      "process_exit",
                                      "socket_connect",
                                      "socket_disconnect",
                                      "socket_reconnect",
                                      "heartbeat_sent",
                                      "heartbeat_received",
                                      "heartbeat_missed",
                                      "heartbeat_timeout",
                                      "circuit_open",
                                      "circuit_half_open",
                                      "circuit_close",
                                      "queue_overflow",
                                      "worker_output",
                                      "request_retry",
                                      "request_cancelled",
                                      "worker_crash",
                                      "service_register",
                                      "service_unregister",
                                      "service_found",
                                      "service_lost",
                                      "service_bind",
                                      "health_change",
                                      "drain",
                                      "log_dropped",
                                      "config_change",
                                      "message_rejected",
                                      "request_end",
                                      "log_reopen"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(event, own[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool event_fits(const char *event)
{
    size_t length = event != NULL ? strlen(event) : 0;
    for (size_t i = 0; i < length; i++) {
        char c = event[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) {
            return false;
        }
    }
    return length >= 1 && length <= EVENT_MAX && !is_own_event(event);
}

void mf_log_event(mf_logger *logger, mf_log_level level, const char *event, const char *message,
                  const mf_log_field *fields, size_t field_count)
{
    mfi_record on_stack;
    bool fits = event_fits(event);
    bool known = level >= MF_LOG_TRACE && level <= MF_LOG_FATAL;
    mf_log_level used = known ? level : MF_LOG_INFO;
    uint64_t key = event != NULL ? mfi_sampler_key(event, strnlen(event, EVENT_MAX)) : 0;
    if (!mfi_log_wanted(logger, used, "invalid_event", key, 0)) {
        return;
    }
    mfi_record *record = mfi_log_start(logger, used, "invalid_event", &on_stack);
    if (fits) {
        mfi_record_user_event(record, event);
    }
    mfi_record_message_strn(record, message != NULL ? message : "",
                            message != NULL ? strlen(message) : 0);
    mfi_record_context(record, mfi_context_current());
    if (!fits || (fields != NULL && field_count > 0)) {
        mfi_record_object_begin(record, "fields");
        if (!fits) {
            mfi_record_str(record, "name", event != NULL ? event : "");
        }
        for (size_t i = 0; fields != NULL && i < field_count; i++) {
            mfi_record_user_field(record, &fields[i]);
        }
        mfi_record_object_end(record);
    }
    (void)mfi_log_commit(record);
}
