/* Answers that are given after their handlers have returned. */
#ifndef MFI_SERVER_DEFERRED_H
#define MFI_SERVER_DEFERRED_H

#include "core/server/message.h"
#include "core/server/reply.h"
#include "core/server/state.h"

typedef struct mfi_deferrals mfi_deferrals; /* the open answers of a worker */

/* timeout_ms: of every answer, from the moment at which it is deferred. */
mf_status mfi_deferrals_create(mfi_deferrals **ret_deferrals, mfi_channel *channel,
                               mfi_child_state *state, int64_t timeout_ms, mf_error *error);
/* NULL is a no-op. */
void mfi_deferrals_unref(mfi_deferrals *deferrals);
/* The handler that deferred its answer has returned. If status is not MF_OK, it becomes the answer,
 * unless an answer was given already. */
void mfi_deferrals_handler_returned(const mf_reply *reply, mf_status status, const mf_error *error);
/* Answers all open handles. From then on no answer can be deferred. Not on the engine thread. */
void mfi_deferrals_close(mfi_deferrals *deferrals);

#endif
