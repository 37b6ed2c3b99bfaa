/* A worker's settings, from the user's options and the environment: defaults, checks, copies. It
 * exists so that the parts of a worker find checked numbers, and texts that the user cannot free.
 */
#include "core/server/options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/str.h"
#include "core/discovery/endpoint.h"
#include "core/discovery/file.h"
#include "core/observe/build_info.h"
#include "core/process/private.h"
#include "core/wire/envelope.h"
#include "core/wire/limits.h"

#define BIND_VARIABLE "COMLINK_BIND"
#define QUEUED_BYTES ((int64_t)64 * 1024 * 1024) /* the documented default */

/* A number: 0 for its default, or between least and most. */
typedef struct number {
    const char *name;
    int64_t given, preset, least, most;
    int64_t picked;
} number;

static mf_status pick_numbers(mfi_child_settings *settings, const mf_child_options *from,
                              mf_error *error)
{
    enum { QUEUED, BYTES, MESSAGE, THREADS, DEFERRED, LOCK, SAMPLING, COUNT };
    int64_t largest = (int64_t)MFI_MESSAGE_MAX_BYTES;
    bool samples = from->handler_sampling != MF_DISABLED;
    number numbers[COUNT] = {
        [QUEUED] = {"max_queued", from->max_queued, 10000, 1, INT32_MAX, 0},
        [BYTES] = {"max_queued_bytes", from->max_queued_bytes, QUEUED_BYTES, 1, INT64_MAX / 2, 0},
        [MESSAGE] = {"max_message_bytes", from->max_message_bytes, largest,
                     (int64_t)MFI_MESSAGE_LEAST_BYTES, largest, 0},
        [THREADS] = {"threads", from->threads, 1, 1, MFI_CHILD_THREADS_MAX, 0},
        [DEFERRED] = {"deferred_timeout_ms", from->deferred_timeout_ms, 30000, 1, INT64_MAX, 0},
        [LOCK] = {"lock_timeout_ms", from->lock_timeout_ms, 10000, 1, INT64_MAX, 0},
        [SAMPLING] = {"handler_sampling", samples ? from->handler_sampling : 0, 64, 1, INT32_MAX,
                      0},
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
    settings->max_queued = (uint32_t)numbers[QUEUED].picked;
    settings->max_message_bytes = (size_t)numbers[MESSAGE].picked;
    settings->max_queued_bytes = (size_t)numbers[BYTES].picked;
    if (settings->max_queued_bytes < settings->max_message_bytes) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "max_queued_bytes (%zu) must be at least max_message_bytes (%zu)",
                        settings->max_queued_bytes, settings->max_message_bytes);
    }
    settings->threads = (uint32_t)numbers[THREADS].picked;
    settings->deferred_timeout_ms = numbers[DEFERRED].picked;
    settings->handler_sampling = samples ? (uint32_t)numbers[SAMPLING].picked : 0;
    return mfi_limits_pick(&settings->limits, from->max_string_bytes, from->max_items, error);
}

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
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
    if (has_text(id) && !mfi_service_id_valid(id)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "service_id must be UTF-8 of 1 to %zu bytes without control characters",
                        MFI_NAME_MAX_BYTES);
    }
    if (has_text(from->bind) && (from->bind_address != NULL || from->port != 0)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind excludes %s",
                        from->bind_address != NULL ? "bind_address" : "port");
    }
    if (from->bind_address != NULL && inet_pton(AF_INET, from->bind_address, &address) != 1) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind_address '%.80s' is no IPv4 address",
                        from->bind_address);
    }
    return MF_OK;
}

/* Replaces characters that a label must not have by '_'. */
static void name_worker(mfi_child_settings *settings, const char *name)
{
    (void)mfi_str_copy(settings->name, sizeof settings->name, name);
    for (char *c = settings->name; *c != '\0'; c++) {
        if (!mfi_correlation_id_valid(c, 1) || *c == ':') {
            *c = '_';
        }
    }
}

static mf_status take_service(mfi_child_settings *settings, const mf_child_options *from,
                              const char *address, mf_error *error)
{
    bool is_named = has_text(from->service_id);
    settings->binds = true;
    settings->service_id = is_named ? strdup(from->service_id) : NULL;
    settings->bind_address = strdup(address);
    if ((is_named && settings->service_id == NULL) || settings->bind_address == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    name_worker(settings, is_named ? settings->service_id : mfi_build_program());
    return MF_OK;
}

/* The child is at a fixed address, and does not register. */
static mf_status take_address(mfi_child_settings *settings, const mf_child_options *from,
                              const char *environment, mf_error *error)
{
    mfi_endpoint at;
    bool by_option = has_text(from->bind);
    mf_status status = mfi_endpoint_read(by_option ? "bind" : BIND_VARIABLE,
                                         by_option ? from->bind : environment, true, &at, error);
    if (status != MF_OK) {
        return status;
    }
    settings->port = at.port;
    return take_service(settings, from, at.address, error);
}

static void take_variables(void)
{
    mfi_private_take();
    (void)unsetenv(BIND_VARIABLE); /* NOLINT: before any thread */
}

/* Spawn mode if the environment has the parent's port; else service mode. The variables are for
 * this one child: what it starts, and a second child of the process, find none. */
static mf_status pick_mode(mfi_child_settings *settings, const mf_child_options *from,
                           mf_error *error)
{
    int64_t port = 0;
    const char *text = getenv(MFI_PRIVATE_PORT); /* NOLINT: read once, before any thread */
    if (has_text(text)) {
        if (!mfi_parse_int(text, 1024, 65535, &port)) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "FATAL: Invalid port '%.32s': COMLINK_ZMQ_PORT must be a number from "
                            "1024 to 65535",
                            text);
        }
        settings->port = (uint16_t)port;
        settings->forwards_output = !from->no_output_capture;
        /* The parent's name of this worker, if the parent hands one down. */
        const char *name = getenv(MFI_PRIVATE_WORKER); /* NOLINT: as above */
        name_worker(settings, has_text(name) ? name : mfi_build_program());
        take_variables();
        return MF_OK;
    }
    settings->forwards_output = from->forward_output && !from->no_output_capture;
    text = getenv(BIND_VARIABLE); /* NOLINT: as above */
    if (has_text(from->bind) || has_text(text)) {
        mf_status status = take_address(settings, from, text, error);
        take_variables();
        return status;
    }
    if (!has_text(from->service_id)) {
        return mfi_fail(error, MF_ERR_NOT_FOUND,
                        "FATAL: Need COMLINK_ZMQ_PORT (set by the parent that spawns a worker) or "
                        "a service_id");
    }
    take_variables();
    settings->registers = true;
    settings->port = from->port;
    return take_service(settings, from,
                        from->bind_address != NULL ? from->bind_address : "127.0.0.1", error);
}

mf_status mfi_child_settings_init(mfi_child_settings *settings, const mf_child_options *from,
                                  mf_error *error)
{
    mf_status status = pick_numbers(settings, from, error);
    if (status == MF_OK) {
        status = check_texts(from, error);
    }
    if (status != MF_OK) {
        return status;
    }
    settings->no_signals = from->no_signals;
    settings->on_stop = from->on_stop;
    settings->user_data = from->user_data;
    settings->namespace_name =
        strdup(from->namespace_name != NULL ? from->namespace_name : MFI_DEFAULT_NAMESPACE);
    if (settings->namespace_name == NULL) {
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a child");
    }
    return pick_mode(settings, from, error);
}

uint64_t mfi_child_settings_fingerprint(const mfi_child_settings *settings)
{
    uint64_t hash = mfi_fingerprint_text(MFI_FINGERPRINT_BEGIN, "child", settings->service_id);
    hash = mfi_fingerprint_text(hash, "namespace_name", settings->namespace_name);
    hash = mfi_fingerprint_number(hash, "binds", settings->binds);
    hash = mfi_fingerprint_number(hash, "registers", settings->registers);
    hash =
        mfi_fingerprint_text(hash, "bind_address", settings->binds ? settings->bind_address : NULL);
    hash = mfi_fingerprint_number(hash, "port", settings->binds ? settings->port : 0);
    hash = mfi_fingerprint_number(hash, "threads", settings->threads);
    hash = mfi_fingerprint_number(hash, "max_queued", settings->max_queued);
    hash = mfi_fingerprint_number(hash, "max_queued_bytes", (int64_t)settings->max_queued_bytes);
    hash = mfi_fingerprint_number(hash, "max_message_bytes", (int64_t)settings->max_message_bytes);
    hash = mfi_fingerprint_number(hash, "max_string_bytes", (int64_t)settings->limits.string_bytes);
    hash = mfi_fingerprint_number(hash, "max_items", settings->limits.items);
    hash = mfi_fingerprint_number(hash, "deferred_timeout_ms", settings->deferred_timeout_ms);
    hash = mfi_fingerprint_number(hash, "handler_sampling", settings->handler_sampling);
    hash = mfi_fingerprint_number(hash, "no_signals", settings->no_signals);
    return mfi_fingerprint_number(hash, "forward_output", settings->forwards_output);
}

void mfi_child_settings_fini(mfi_child_settings *settings)
{
    free(settings->namespace_name);
    free(settings->service_id);
    free(settings->bind_address);
}
