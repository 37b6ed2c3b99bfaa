/* The functions of a worker, found by their names. */
#ifndef MFI_SERVER_FUNCTIONS_H
#define MFI_SERVER_FUNCTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/child.h>

#define MFI_CHILD_FUNCTIONS_MAX 4096

typedef struct mfi_handler {
    char *name;
    mf_handler_fn run;
    void *user_data;
    _Atomic(uint64_t) last_run_ns; /* duration of the last run; 0: the function never ran */
    bool builtin;
    bool hidden; /* a builtin that list_functions does not show */
} mfi_handler;

/* All zero: empty. Changed only before the worker runs; afterwards any thread reads it. */
typedef struct mfi_functions {
    mfi_handler *all; /* sorted by name */
    size_t count;
    mf_status first_failure; /* of mfi_functions_register */
    mf_error failure;
} mfi_functions;

void mfi_functions_fini(mfi_functions *functions);
/* name may hold a NUL. NULL if no function has that name. */
mfi_handler *mfi_functions_find(const mfi_functions *functions, const char *name, size_t length);
/* Adds a function, or replaces a builtin of the same name. handler->name is not read. */
mf_status mfi_functions_add(mfi_functions *functions, const char *name, const mfi_handler *handler,
                            mf_error *error);
/* Registers a user's function: checks the name, and keeps the first failure. closed: the worker
 * runs already, which is a failure. */
mf_status mfi_functions_register(mfi_functions *functions, const char *name, mf_handler_fn run,
                                 void *user_data, bool closed);

#endif
