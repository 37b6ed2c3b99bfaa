/* Functions that every worker has. */
#ifndef MFI_SERVER_BUILTIN_H
#define MFI_SERVER_BUILTIN_H

#include <stdint.h>

#include "core/observe/observe.h"
#include "core/server/functions.h"
#include "core/server/options.h"
#include "core/server/state.h"

/* The data that the builtins show. Lives as long as the functions. */
typedef struct mfi_builtins {
    const mfi_functions *functions;
    const mfi_child_settings *settings;
    const mfi_child_state *state;
    mfi_target *observed;
    const char *version; /* of the program */
    uint64_t started_ns, started_wall_ns;
} mfi_builtins;

mf_status mfi_builtins_add(mfi_builtins *builtins, mfi_functions *functions, mf_error *error);

#endif
