/* Commands to the parents and pools of a runtime while they run. It exists so that an admin socket
 * changes them without knowing one: each registers a function for commands beside those that show
 * it. */
#ifndef MFI_RUNTIME_COMMAND_H
#define MFI_RUNTIME_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/words/admin.h"

#define MFI_COMMAND_TEXT_MAX 256
#define MFI_COMMAND_NAME_MAX 257 /* of a function, with the NUL */

/* A fault, as it is armed. */
typedef struct mfi_fault_rule {
    mfi_fault_kind kind;
    char function[MFI_COMMAND_NAME_MAX]; /* "": of all functions */
    double share;                        /* of the calls that it fits, 0 to 1 */
    int64_t delay_ms; /* delay: how late the call is sent; freeze: until the worker goes on */
    uint64_t seed;    /* the same seed picks the same calls of a row */
    int64_t for_ms;   /* after that time the fault is over */
    uint64_t count;   /* and after so many calls that it hit; 0: any number */
} mfi_fault_rule;

typedef struct mfi_command {
    mfi_admin_command what; /* circuit, drain, restart or fault; status: only names the workers */
    const char *target, *worker; /* NULL: any */
    mfi_circuit_order order;     /* circuit */
    bool ends;                   /* drain: the worker gets calls again; fault: it is over */
    const mfi_fault_rule *fault; /* fault, unless it ends */
} mfi_command;

/* What a command did to one worker. Texts are borrowed until the report returns. */
typedef struct mfi_command_effect {
    const char *target, *worker;
    const char *setting; /* "circuit", "drain", "worker", "fault" */
    const char *from, *to;
    const char *refused; /* why it did nothing; NULL: it did */
} mfi_command_effect;
typedef void (*mfi_command_seen_fn)(const mfi_command_effect *effect, void *user_data);

/* For a component: whether the command means this worker of this target. */
bool mfi_command_means(const mfi_command *command, const char *target, const char *worker);

#endif
