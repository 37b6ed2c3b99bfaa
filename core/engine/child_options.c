#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/build_info.h"
#include "core/discovery/registry_file.h"
#include "core/engine/child.h"
#include "core/wire/limits.h"

#define QUEUED_BYTES ((int64_t)256 * 1024 * 1024)

/* A number that is 0 for its default, or least to most. */
typedef struct number {
    const char *name;
    int64_t given, preset, least, most;
    int64_t picked;
} number;

static mf_status pick_numbers(mf_child *child, const mf_child_options *from, mf_error *error)
{
    enum { QUEUED, BYTES, MESSAGE, THREADS, DEFERRED, LOCK, COUNT };
    int64_t largest = (int64_t)MFI_MESSAGE_MAX_BYTES;
    number numbers[COUNT] = {
        [QUEUED] = {"max_queued", from->max_queued, 10000, 1, INT32_MAX, 0},
        [BYTES] = {"max_queued_bytes", from->max_queued_bytes, QUEUED_BYTES, 1, INT64_MAX / 2, 0},
        [MESSAGE] = {"max_message_bytes", from->max_message_bytes, largest,
                     (int64_t)MFI_MESSAGE_LEAST_BYTES, largest, 0},
        [THREADS] = {"threads", from->threads, 1, 1, MFI_CHILD_THREADS_MAX, 0},
        [DEFERRED] = {"deferred_timeout_ms", from->deferred_timeout_ms, 30000, 1, INT64_MAX, 0},
        [LOCK] = {"lock_timeout_ms", from->lock_timeout_ms, 10000, 1, INT64_MAX, 0},
    };
    for (size_t i = 0; i < COUNT; i++) {
        number *each = &numbers[i];
        if (each->given != 0 && (each->given < each->least || each->given > each->most)) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be %lld to %lld, not %lld",
                            each->name, (long long)each->least, (long long)each->most,
                            (long long)each->given);
        }
        each->picked = each->given != 0 ? each->given : each->preset;
    }
    child->max_queued = (uint32_t)numbers[QUEUED].picked;
    child->max_message_bytes = (size_t)numbers[MESSAGE].picked;
    child->max_queued_bytes = (size_t)numbers[BYTES].picked;
    if (child->max_queued_bytes < child->max_message_bytes) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "max_queued_bytes (%zu) must be at least max_message_bytes (%zu)",
                        child->max_queued_bytes, child->max_message_bytes);
    }
    child->server_count = (uint32_t)numbers[THREADS].picked;
    child->deferred_timeout_ms = numbers[DEFERRED].picked;
    return mfi_limits_pick(&child->limits, from->max_string_bytes, from->max_items, error);
}

static mf_status check_texts(const mf_child_options *from, mf_error *error)
{
    struct in_addr address;
    const char *space = from->namespace_name;
    const char *id = from->service_id;
    if (space != NULL &&
        (strlen(space) > MFI_NAME_MAX_BYTES || !mfi_utf8_valid(space, strlen(space)))) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "namespace_name must be UTF-8 of at most %zu bytes", MFI_NAME_MAX_BYTES);
    }
    if (id != NULL && id[0] != '\0' && !mfi_service_id_valid(id)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "service_id must be UTF-8 of 1 to %zu bytes without control characters",
                        MFI_NAME_MAX_BYTES);
    }
    if (from->bind_address != NULL && inet_pton(AF_INET, from->bind_address, &address) != 1) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind_address '%.80s' is no IPv4 address",
                        from->bind_address);
    }
    return MF_OK;
}

/* What does not fit a label becomes '_'. */
static void name_worker(mf_child *child, const char *name)
{
    (void)mfi_str_copy(child->name, sizeof child->name, name);
    for (char *c = child->name; *c != '\0'; c++) {
        if (!mfi_correlation_id_valid(c, 1) || *c == ':') {
            *c = '_';
        }
    }
}

static mf_status take_service(mf_child *child, const mf_child_options *from, mf_error *error)
{
    child->port = from->port;
    child->service_id = strdup(from->service_id);
    child->bind_address = strdup(from->bind_address != NULL ? from->bind_address : "127.0.0.1");
    if (child->service_id == NULL || child->bind_address == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    name_worker(child, child->service_id);
    return MF_OK;
}

/* Spawn mode, if a parent has left word where it waits; else service mode. */
static mf_status pick_mode(mf_child *child, const mf_child_options *from, mf_error *error)
{
    int64_t port = 0;
    const char *text = getenv("COMLINK_ZMQ_PORT"); /* NOLINT: read once, before any thread */
    if (text != NULL && text[0] != '\0') {
        if (!mfi_parse_int(text, 1024, 65535, &port)) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "FATAL: Invalid port '%.32s': COMLINK_ZMQ_PORT must be a number from "
                            "1024 to 65535",
                            text);
        }
        child->port = (uint16_t)port;
        name_worker(child, mfi_build_program());
        return MF_OK;
    }
    if (from->service_id == NULL || from->service_id[0] == '\0') {
        return mfi_fail(error, MF_ERR_NOT_FOUND,
                        "FATAL: Need COMLINK_ZMQ_PORT (set by the parent that spawns a worker) or "
                        "a service_id");
    }
    return take_service(child, from, error);
}

mf_status mfi_child_take_options(mf_child *child, const mf_child_options *from, mf_error *error)
{
    mf_status status = pick_numbers(child, from, error);
    if (status == MF_OK) {
        status = check_texts(from, error);
    }
    if (status != MF_OK) {
        return status;
    }
    child->no_signals = from->no_signals;
    child->no_output_capture = from->no_output_capture;
    child->on_stop = from->on_stop;
    child->user_data = from->user_data;
    child->namespace_name =
        strdup(from->namespace_name != NULL ? from->namespace_name : MFI_DEFAULT_NAMESPACE);
    if (child->namespace_name == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    return pick_mode(child, from, error);
}
