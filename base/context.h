/* The context that is current on a thread: which call it works for.
 *
 * The user's mf_context_set() keeps a copy in thread-local memory; core puts a pointer in front of
 * it for as long as a handler runs. Neither allocates. */
#ifndef MFI_BASE_CONTEXT_H
#define MFI_BASE_CONTEXT_H

#include <multifrost/context.h>

/* What was current before mfi_context_enter. Lives on the stack of the thread that entered. */
typedef struct mfi_context_scope {
    const mf_context *before;
    mf_context kept; /* the user's copy, when that was current: a handler may overwrite it */
} mfi_context_scope;

/* The calling thread's context, NULL if it has none. Valid until the thread changes it. */
const mf_context *mfi_context_current(void);

/* Makes `context` current (borrowed until leave, NULL for none). Scopes nest, and are left by the
 * thread that entered them, in reverse order. Whatever was set meanwhile is forgotten on leave. */
void mfi_context_enter(mfi_context_scope *scope, const mf_context *context);
void mfi_context_leave(const mfi_context_scope *scope);

#endif
