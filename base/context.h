/* The context that is current on a thread: the ids of the call that the thread works for.
 *
 * mf_context_set() keeps a copy in thread-local memory. While a handler runs, core makes a pointer
 * current instead. Neither allocates. */
#ifndef MFI_BASE_CONTEXT_H
#define MFI_BASE_CONTEXT_H

#include <multifrost/context.h>

/* The context before mfi_context_enter(). Lives on the stack of the thread that entered. */
typedef struct mfi_context_scope {
    const mf_context *before;
    mf_context kept; /* the user's copy if it was current, because a handler may overwrite it */
} mfi_context_scope;

/* The calling thread's context, NULL if it has none. Valid until the thread changes it. */
const mf_context *mfi_context_current(void);

/* Makes `context` current; it is borrowed until leave, NULL means none. The thread that entered
 * leaves; nested scopes are left in reverse order. Leaving undoes whatever was set meanwhile. */
void mfi_context_enter(mfi_context_scope *scope, const mf_context *context);
void mfi_context_leave(const mfi_context_scope *scope);

#endif
