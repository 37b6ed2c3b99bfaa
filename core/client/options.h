/* A parent's options with the defaults filled in, checked and copied. */
#ifndef MFI_CLIENT_OPTIONS_H
#define MFI_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/parent.h>

#include "core/policy/circuit.h"
#include "core/policy/restart.h"
#include "core/wire/limits.h"

/* All texts belong to the settings. */
typedef struct mfi_parent_settings {
    char *target, *worker;    /* "math", "math-0" */
    bool is_member;           /* of a pool */
    char *program;            /* spawn mode */
    char **args, **env;       /* NULL-terminated */
    char *service_id;         /* connect mode */
    char *endpoint;           /* connect mode without a registry; bind_address and port are its */
    char *registry_directory; /* or NULL */
    char *working_directory, *namespace_name, *client_name, *bind_address;
    uint16_t port;
    bool critical;
    bool auto_restart, fail_fast;
    int64_t call_timeout_ms, start_timeout_ms, stop_timeout_ms;
    int64_t discovery_timeout_ms, discovery_poll_ms;
    int64_t heartbeat_interval_ms, heartbeat_timeout_ms;
    uint32_t heartbeat_misses;
    int64_t handler_timeout_ms; /* 0: none */
    uint32_t max_in_flight;
    size_t max_message_bytes;
    size_t max_queued_bytes;
    mfi_limits limits;
    mfi_circuit_config circuit;
    mfi_circuit_config trial;
    bool has_trial;
    mfi_restart_config restart;
    mf_output_fn on_output;
    void *user_data;
} mfi_parent_settings;

/* Fills zeroed settings; is_member is set by the caller, and the worker is named later. To be
 * released with _fini, also after a failure. */
mf_status mfi_parent_settings_init(mfi_parent_settings *settings, const mf_parent_options *options,
                                   mf_runtime **ret_runtime, mf_error *error);
/* Names the worker after its target and its number. */
mf_status mfi_parent_settings_name(mfi_parent_settings *settings, uint32_t number, mf_error *error);
void mfi_parent_settings_fini(mfi_parent_settings *settings);
/* fingerprint.c: of the options that change how calls behave. Those of two workers of one target
 * are equal. */
uint64_t mfi_parent_settings_fingerprint(const mfi_parent_settings *settings);

/* circuit_options.c: the circuit, and the one on trial. The restarts, heartbeat_misses and the
 * circuit's times are picked before. */
mf_status mfi_circuit_options_pick(mfi_parent_settings *to, const mf_parent_options *from,
                                   mf_error *error);
/* 0 takes the preset; 1 to most. */
mf_status mfi_option_pick_count(const char *name, int32_t given, uint32_t preset, int32_t most,
                                uint32_t *ret_count, mf_error *error);

/* Copies a list of strings that ends with NULL, and adds `last` (NULL: nothing). NULL without
 * memory. */
char **mfi_strings_copy(const char *const *list, const char *last);
void mfi_strings_free(char **list);

#endif
