/* A parent's options: fills in the defaults, checks every value, copies every text. It exists so
 * that no other file of the client needs to know a default or a limit. */
#include "core/client/options.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/discovery/endpoint.h"
#include "core/wire/envelope.h"
#include "core/wire/limits.h"

#define QUEUED_BYTES ((size_t)64 * 1024 * 1024) /* the documented default */
#define TARGET_MAX 64
#define PORT_LEAST 1024

char **mfi_strings_copy(const char *const *list, const char *last)
{
    size_t count = 0;
    while (list != NULL && list[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 2, sizeof *copy);
    for (size_t i = 0; copy != NULL && i <= count; i++) {
        const char *text = i < count ? list[i] : last;
        copy[i] = text != NULL ? strdup(text) : NULL;
        if (text != NULL && copy[i] == NULL) {
            mfi_strings_free(copy);
            copy = NULL;
        }
    }
    return copy;
}

void mfi_strings_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        free(list[i]);
    }
    free(list);
}

/* ---- Numbers ---- */

/* A time in milliseconds: zero takes the default; MF_DISABLED only where it means something. */
static mf_status pick_ms(const char *name, int64_t given, int64_t preset, bool can_disable,
                         int64_t *ret_ms, mf_error *error)
{
    if (given < 0 && !(can_disable && given == MF_DISABLED)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must not be %lld", name,
                        (long long)given);
    }
    *ret_ms = given != 0 ? given : preset;
    return MF_OK;
}

mf_status mfi_option_pick_count(const char *name, int32_t given, uint32_t preset, int32_t most,
                                uint32_t *ret_count, mf_error *error)
{
    if (given < 0 || given > most) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be 1 to %d, not %d", name, most,
                        given);
    }
    *ret_count = given != 0 ? (uint32_t)given : preset;
    return MF_OK;
}

static mf_status pick_times(mfi_parent_settings *to, const mf_parent_options *from, mf_error *error)
{
    struct {
        const char *name;
        int64_t given, preset;
        bool can_disable;
        int64_t *to;
    } times[] = {
        {"call_timeout_ms", from->call_timeout_ms, 30000, false, &to->call_timeout_ms},
        {"start_timeout_ms", from->start_timeout_ms, 10000, false, &to->start_timeout_ms},
        {"stop_timeout_ms", from->stop_timeout_ms, 2000, false, &to->stop_timeout_ms},
        {"heartbeat_interval_ms", from->heartbeat_interval_ms, 5000, true,
         &to->heartbeat_interval_ms},
        {"heartbeat_timeout_ms", from->heartbeat_timeout_ms, 3000, false,
         &to->heartbeat_timeout_ms},
        {"discovery_timeout_ms", from->discovery_timeout_ms, 5000, false,
         &to->discovery_timeout_ms},
        {"discovery_poll_ms", from->discovery_poll_ms, 100, false, &to->discovery_poll_ms},
        {"restart_period_ms", from->restart_period_ms, 60000, false, &to->restart.period_ms},
        {"restart_backoff_ms", from->restart_backoff_ms, 1000, false,
         &to->restart.backoff.first_ms},
        {"restart_backoff_max_ms", from->restart_backoff_max_ms, 30000, false,
         &to->restart.backoff.most_ms},
        {"restart_stable_ms", from->restart_stable_ms, 10000, false, &to->restart.stable_ms},
        {"circuit_open_ms", from->circuit_open_ms, 1000, false, &to->circuit.open_ms},
        {"circuit_open_max_ms", from->circuit_open_max_ms, 30000, false, &to->circuit.open_max_ms},
        {"handler_timeout_ms", from->handler_timeout_ms, 0, false, &to->handler_timeout_ms},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        mf_status status = pick_ms(times[i].name, times[i].given, times[i].preset,
                                   times[i].can_disable, times[i].to, error);
        if (status != MF_OK) {
            return status;
        }
    }
    if (from->endpoint != NULL) { /* no registry is asked: the start is all there is to wait for */
        to->discovery_timeout_ms = to->start_timeout_ms;
    }
    if (to->handler_timeout_ms != 0 && (from->program == NULL || !from->auto_restart ||
                                        to->heartbeat_interval_ms == MF_DISABLED)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "handler_timeout_ms needs program, auto_restart and heartbeats");
    }
    return MF_OK;
}

static mf_status pick_counts(mfi_parent_settings *to, const mf_parent_options *from,
                             mf_error *error)
{
    bool unlimited = from->max_restart_attempts == MF_DISABLED;
    mf_status status = mfi_option_pick_count("max_in_flight", from->max_in_flight, 4096, 65528,
                                             &to->max_in_flight, error);
    if (status == MF_OK) {
        status = mfi_option_pick_count("max_restart_attempts",
                                       unlimited ? 0 : from->max_restart_attempts, 5,
                                       MFI_RESTARTS_MAX, &to->restart.max_attempts, error);
    }
    if (status == MF_OK) {
        status = mfi_option_pick_count("heartbeat_misses", from->heartbeat_misses, 3, 1000,
                                       &to->heartbeat_misses, error);
    }
    to->restart.backoff.multiplier = 2;
    to->restart.backoff.jitter = 0.2;
    if (status == MF_OK) {
        status = mfi_circuit_options_pick(to, from, error);
    }
    to->restart.max_attempts = unlimited ? 0 : to->restart.max_attempts;
    return status;
}

static mf_status pick_limits(mfi_parent_settings *to, const mf_parent_options *from,
                             mf_error *error)
{
    mf_status status = mfi_limit_pick("max_message_bytes", from->max_message_bytes,
                                      MFI_MESSAGE_MAX_BYTES, MFI_MESSAGE_LEAST_BYTES,
                                      MFI_MESSAGE_MAX_BYTES, &to->max_message_bytes, error);
    if (status == MF_OK && (from->max_queued_bytes < 0 || from->max_queued_bytes > INT64_MAX / 2)) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "max_queued_bytes must not be %lld",
                          (long long)from->max_queued_bytes);
    }
    to->max_queued_bytes =
        from->max_queued_bytes != 0 ? (size_t)from->max_queued_bytes : QUEUED_BYTES;
    if (status == MF_OK && to->max_queued_bytes < to->max_message_bytes) {
        status = mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                          "max_queued_bytes (%zu) must be at least max_message_bytes (%zu)",
                          to->max_queued_bytes, to->max_message_bytes);
    }
    return status == MF_OK
               ? mfi_limits_pick(&to->limits, from->max_string_bytes, from->max_items, error)
               : status;
}

/* ---- Names ---- */

/* Replaces characters that a target must not have by '_'. */
static void make_fit(char *target)
{
    for (char *c = target; *c != '\0'; c++) {
        if (!mfi_correlation_id_valid(c, 1) || *c == ':') {
            *c = '_';
        }
    }
}

/* "/path/math.py" gives "math". */
static void target_from_path(const char *path, char to[TARGET_MAX + 1])
{
    const char *slash = strrchr(path, '/');
    (void)mfi_str_copy(to, TARGET_MAX + 1, slash != NULL ? slash + 1 : path);
    char *dot = strrchr(to, '.');
    if (dot != NULL && dot != to) {
        *dot = '\0';
    }
    make_fit(to);
}

/* The script if there is one, else the program: for `python3 math.py`, "math.py". */
static const char *script_or_program(const mf_parent_options *from)
{
    for (size_t i = 0; from->args != NULL && from->args[i] != NULL; i++) {
        if (from->args[i][0] != '-' && from->args[i][0] != '\0') {
            return from->args[i];
        }
    }
    return from->program;
}

static bool target_fits(const char *target)
{
    size_t length = strlen(target);
    return length <= TARGET_MAX && mfi_correlation_id_valid(target, length) &&
           strchr(target, ':') == NULL;
}

static mf_status pick_target(mfi_parent_settings *to, const mf_parent_options *from,
                             mf_error *error)
{
    char target[TARGET_MAX + 1];
    if (from->target != NULL && !target_fits(from->target)) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "target '%.80s' must be 1 to %d of [A-Za-z0-9._-]", from->target,
                        TARGET_MAX);
    }
    if (from->target != NULL) {
        (void)mfi_str_copy(target, sizeof target, from->target);
    } else if (from->service_id != NULL || from->endpoint != NULL) {
        /* A label never has a port. */
        (void)mfi_str_copy(target, sizeof target,
                           from->service_id != NULL ? from->service_id : from->bind_address);
        make_fit(target);
    } else {
        target_from_path(script_or_program(from), target);
    }
    to->target = strdup(target);
    return MF_OK;
}

mf_status mfi_parent_settings_name(mfi_parent_settings *settings, uint32_t number, mf_error *error)
{
    char worker[TARGET_MAX + 16];
    (void)mfi_str_format(worker, sizeof worker, "%s-%u", settings->target, (unsigned)number);
    settings->worker = strdup(worker);
    return settings->worker != NULL
               ? MF_OK
               : mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent's options");
}

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool has_strings(const char *const *list)
{
    return list != NULL && list[0] != NULL;
}

/* The ways to a worker, and the option that each of them begins with. */
typedef enum mode { BY_PROGRAM = 1, BY_NAME = 2, BY_ENDPOINT = 4 } mode;

static const char *mode_word(unsigned modes)
{
    return (modes & BY_PROGRAM) != 0 ? "program"
           : (modes & BY_NAME) != 0  ? "service_id"
                                     : "endpoint";
}

/* Refuses the first option that was given and that this mode does not read. max_restart_attempts is
 * none of them, because it is the default of circuit_failures. */
static mf_status check_mode(const mf_parent_options *from, mode given, mf_error *error)
{
    const struct {
        const char *name;
        unsigned modes;
        bool given;
    } options[] = {
        {"args", BY_PROGRAM, has_strings(from->args)},
        {"env", BY_PROGRAM, has_strings(from->env)},
        {"working_directory", BY_PROGRAM, has_text(from->working_directory)},
        {"port", BY_PROGRAM, from->port != 0},
        {"auto_restart", BY_PROGRAM, from->auto_restart},
        {"restart_period_ms", BY_PROGRAM, from->restart_period_ms != 0},
        {"restart_backoff_ms", BY_PROGRAM, from->restart_backoff_ms != 0},
        {"restart_backoff_max_ms", BY_PROGRAM, from->restart_backoff_max_ms != 0},
        {"restart_stable_ms", BY_PROGRAM, from->restart_stable_ms != 0},
        {"registry_directory", BY_NAME, has_text(from->registry_directory)},
        {"discovery_timeout_ms", BY_NAME, from->discovery_timeout_ms != 0},
        {"discovery_poll_ms", BY_NAME, from->discovery_poll_ms != 0},
        {"bind_address", BY_PROGRAM | BY_NAME, has_text(from->bind_address)},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].given && (options[i].modes & given) == 0) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                            "%s is an option of %s, and means nothing with %s", options[i].name,
                            mode_word(options[i].modes), mode_word(given));
        }
    }
    if (from->port != 0 && from->port < PORT_LEAST) { /* a worker refuses such a port */
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "port must be %d to 65535, or 0 for a free one, not %u", PORT_LEAST,
                        (unsigned)from->port);
    }
    return MF_OK;
}

/* An empty text counts as none. */
static mf_status pick_mode(mf_parent_options *from, mf_error *error)
{
    from->program = has_text(from->program) ? from->program : NULL;
    from->service_id = has_text(from->service_id) ? from->service_id : NULL;
    from->endpoint = has_text(from->endpoint) ? from->endpoint : NULL;
    unsigned modes = (from->program != NULL ? BY_PROGRAM : 0) |
                     (from->service_id != NULL ? BY_NAME : 0) |
                     (from->endpoint != NULL ? BY_ENDPOINT : 0);
    if (modes == 0) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT,
                        "program, service_id or endpoint is missing");
    }
    if ((modes & (modes - 1)) != 0) {
        unsigned last = (modes & BY_ENDPOINT) != 0 ? BY_ENDPOINT : BY_NAME;
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s and %s exclude each other",
                        mode_word(modes), mode_word(last));
    }
    return check_mode(from, (mode)modes, error);
}

/* at holds the address that from then borrows. */
static mf_status pick_endpoint(mf_parent_options *from, mfi_endpoint *at, mf_error *error)
{
    if (from->endpoint == NULL) {
        return MF_OK;
    }
    mf_status status = mfi_endpoint_read("endpoint", from->endpoint, false, at, error);
    from->bind_address = at->address;
    from->port = at->port;
    return status;
}

static mf_status check_names(const mf_parent_options *from, mf_error *error)
{
    struct in6_addr address;
    static const char *const words[] = {"namespace_name", "client_name", "service_id"};
    const char *names[] = {from->namespace_name, from->client_name, from->service_id};
    for (size_t i = 0; i < 3; i++) {
        if (names[i] != NULL && (strlen(names[i]) > MFI_NAME_MAX_BYTES ||
                                 !mfi_utf8_valid(names[i], strlen(names[i])))) {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "%s must be UTF-8 of at most %zu bytes",
                            words[i], MFI_NAME_MAX_BYTES);
        }
    }
    if (from->endpoint == NULL && from->bind_address != NULL &&
        inet_pton(AF_INET, from->bind_address, &address) != 1) {
        return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "bind_address '%.80s' is no IPv4 address",
                        from->bind_address);
    }
    for (size_t i = 0; from->env != NULL && from->env[i] != NULL; i++) {
        if (strchr(from->env[i], '=') == NULL || from->env[i][0] == '=') {
            return mfi_fail(error, MF_ERR_INVALID_ARGUMENT, "env[%zu] is not NAME=value", i);
        }
    }
    return MF_OK;
}

static char *copy_or(const char *text, const char *preset)
{
    const char *chosen = text != NULL ? text : preset;
    return chosen != NULL ? strdup(chosen) : NULL;
}

static mf_status copy_texts(mfi_parent_settings *to, const mf_parent_options *from, mf_error *error)
{
    to->program = copy_or(from->program, NULL);
    to->service_id = copy_or(from->service_id, NULL);
    to->endpoint = copy_or(from->endpoint, NULL);
    to->registry_directory = copy_or(from->registry_directory, NULL);
    to->args = mfi_strings_copy(from->args, "--worker");
    to->env = mfi_strings_copy(from->env, NULL);
    to->namespace_name = copy_or(from->namespace_name, MFI_DEFAULT_NAMESPACE);
    to->bind_address = copy_or(from->bind_address, "127.0.0.1");
    to->client_name = copy_or(from->client_name, NULL);
    to->working_directory = copy_or(from->working_directory, NULL);
    bool complete = (to->program != NULL || to->service_id != NULL || to->endpoint != NULL) &&
                    to->args != NULL && to->env != NULL && to->namespace_name != NULL &&
                    to->bind_address != NULL && to->target != NULL &&
                    (to->client_name != NULL) == (from->client_name != NULL) &&
                    (to->registry_directory != NULL) == (from->registry_directory != NULL) &&
                    (to->working_directory != NULL) == (from->working_directory != NULL);
    return complete ? MF_OK : mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for a parent's options");
}

mf_status mfi_parent_settings_init(mfi_parent_settings *settings, const mf_parent_options *options,
                                   mf_runtime **ret_runtime, mf_error *error)
{
    mf_parent_options from;
    mfi_endpoint at;
    mf_status status =
        mfi_options_copy(&from, sizeof from, sizeof from, options, "mf_parent_options", error);
    if (status == MF_OK) {
        status = pick_mode(&from, error);
    }
    if (status == MF_OK) {
        status = pick_endpoint(&from, &at, error);
    }
    if (status == MF_OK) {
        status = check_names(&from, error);
    }
    if (status == MF_OK) {
        status = pick_times(settings, &from, error);
    }
    if (status == MF_OK) {
        status = pick_counts(settings, &from, error);
    }
    if (status == MF_OK) {
        status = pick_limits(settings, &from, error);
    }
    if (status == MF_OK) {
        status = pick_target(settings, &from, error);
    }
    if (status == MF_OK) {
        status = copy_texts(settings, &from, error);
    }
    if (status == MF_OK) {
        settings->port = from.port;
        settings->critical = from.critical;
        settings->auto_restart = from.auto_restart;
        settings->fail_fast = from.fail_fast;
        settings->on_output = from.on_output;
        settings->user_data = from.user_data;
        *ret_runtime = from.runtime;
    }
    return status;
}

void mfi_parent_settings_fini(mfi_parent_settings *settings)
{
    free(settings->target);
    free(settings->worker);
    free(settings->program);
    free(settings->service_id);
    free(settings->endpoint);
    free(settings->registry_directory);
    mfi_strings_free(settings->args);
    mfi_strings_free(settings->env);
    free(settings->working_directory);
    free(settings->namespace_name);
    free(settings->client_name);
    free(settings->bind_address);
    *settings = (mfi_parent_settings){0};
}
