/* Keeps the ids of the running call for each thread. Log records, spans and nested calls read them
 * here, so that no function between them has to pass them on. */
#include "base/context.h"

#include <string.h>

static _Thread_local mf_context own;            /* the user's copy */
static _Thread_local const mf_context *current; /* own, a scope's, or NULL */

const mf_context *mfi_context_current(void)
{
    return current;
}

void mfi_context_enter(mfi_context_scope *scope, const mf_context *context)
{
    scope->before = current;
    if (current == &own) {
        scope->kept = own;
    }
    current = context;
}

void mfi_context_leave(const mfi_context_scope *scope)
{
    current = scope->before;
    if (current == &own) {
        own = scope->kept;
    }
}

bool mf_context_get(mf_context *ret_context)
{
    if (ret_context == NULL) {
        return current != NULL;
    }
    if (current == NULL) {
        memset(ret_context, 0, sizeof *ret_context);
        return false;
    }
    *ret_context = *current;
    return true;
}

void mf_context_set(const mf_context *context)
{
    if (context == NULL) {
        current = NULL;
        return;
    }
    mf_context copy = *context; /* context may point to `own` itself */
    own = copy;
    current = &own;
}
