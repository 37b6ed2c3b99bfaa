/* The table of a worker's functions: registration, and the search by name for every call.
 *
 * The table is sorted, so that a search takes few comparisons and list_functions is in order. The
 * table is complete before the worker runs, so that searches need no lock. */
#include "core/server/functions.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "core/wire/limits.h"

void mfi_functions_fini(mfi_functions *functions)
{
    for (size_t i = 0; i < functions->count; i++) {
        free(functions->all[i].name);
    }
    free(functions->all);
}

/* Name may hold a NUL, because a peer sent it. */
static int compare_names(const char *known, const char *name, size_t length)
{
    size_t known_length = strlen(known);
    int order = memcmp(known, name, known_length < length ? known_length : length);
    return order != 0 ? order : (known_length > length) - (known_length < length);
}

/* Index of a name in the table, or the index at which it would be inserted. */
static size_t position_of(const mfi_functions *functions, const char *name, size_t length,
                          bool *ret_found)
{
    size_t low = 0;
    size_t high = functions->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(functions->all[middle].name, name, length);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_found = false;
    return low;
}

mfi_handler *mfi_functions_find(const mfi_functions *functions, const char *name, size_t length)
{
    bool found = false;
    size_t at = length != 0 ? position_of(functions, name, length, &found) : 0;
    return found ? &functions->all[at] : NULL;
}

mf_status mfi_functions_add(mfi_functions *functions, const char *name, const mfi_handler *handler,
                            mf_error *error)
{
    bool found = false;
    size_t at = position_of(functions, name, strlen(name), &found);
    mfi_handler *known = &functions->all[at];
    if (found && !known->builtin) {
        return mfi_fail(error, MF_ERR_EXISTS, "function '%s' is registered already", name);
    }
    if (found) {
        known->run = handler->run;
        known->user_data = handler->user_data;
        known->builtin = false;
        known->hidden = false;
        return MF_OK;
    }
    if (functions->count == MFI_CHILD_FUNCTIONS_MAX) {
        return mfi_fail(error, MF_ERR_LIMIT, "more than %d functions", MFI_CHILD_FUNCTIONS_MAX);
    }
    char *copy = strdup(name);
    mfi_handler *grown = realloc(functions->all, (functions->count + 1) * sizeof *functions->all);
    if (grown != NULL) {
        functions->all = grown;
    }
    if (copy == NULL || grown == NULL) {
        free(copy);
        return mfi_fail(error, MF_ERR_NO_MEMORY, "no memory for function '%s'", name);
    }
    memmove(&grown[at + 1], &grown[at], (functions->count - at) * sizeof *grown);
    grown[at] = *handler;
    grown[at].name = copy;
    functions->count++;
    return MF_OK;
}

mf_status mfi_functions_register(mfi_functions *functions, const char *name, mf_handler_fn run,
                                 void *user_data, bool closed)
{
    mf_error error;
    mf_status status = MF_OK;
    mfi_error_clear(&error);
    if (closed) {
        status = mfi_fail(&error, MF_ERR_STATE, "functions are registered before mf_child_run()");
    } else if (name == NULL || run == NULL || name[0] == '\0' ||
               strlen(name) > MFI_NAME_MAX_BYTES || !mfi_utf8_valid(name, strlen(name))) {
        status = mfi_fail(&error, MF_ERR_INVALID_ARGUMENT,
                          "a function needs a handler and a UTF-8 name of 1 to %zu bytes",
                          MFI_NAME_MAX_BYTES);
    } else {
        mfi_handler added = {.run = run, .user_data = user_data};
        status = mfi_functions_add(functions, name, &added, &error);
    }
    if (status != MF_OK && functions->first_failure == MF_OK) {
        functions->first_failure = status;
        mfi_error_copy(&functions->failure, &error);
    }
    return status;
}
