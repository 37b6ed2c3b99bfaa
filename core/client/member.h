/* What a pool needs of its members beyond what mf_parent offers to everybody. */
#ifndef MFI_ENGINE_MEMBER_H
#define MFI_ENGINE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/parent.h>

#include "core/words/drains.h"

/* Makes a parent that is one of several with the same target: it is the target's worker number
 * `index` ("math-2"), and its circuit has that name too. */
mf_status mfi_member_create(mf_parent **ret_parent, const mf_parent_options *options,
                            uint32_t index, mf_error *error);
/* Asks it to stop, without waiting: mf_parent_stop() is to follow. */
void mfi_member_stop_begin(mf_parent *parent);
/* User calls that have begun and not ended; those that wait for a retry too. Any thread. */
uint32_t mfi_member_calls_open(const mf_parent *parent);
/* Between begin and end the member counts as draining in the metrics, and both are logged. Calls
 * are not refused: the pool gives it none. */
void mfi_member_drain_begin(mf_parent *parent, mfi_drain_reason reason);
/* Who waits for its calls to end looks at the news, then at what it waits for, and then sleeps
 * until there are others, or the deadline has passed. */
uint32_t mfi_member_drain_news(const mf_parent *parent);
void mfi_member_drain_sleep(mf_parent *parent, uint32_t news, uint64_t deadline_ns);
/* There are news: a call has ended, or nobody need wait any more. */
void mfi_member_drain_tell(mf_parent *parent);
/* Whether no call is open; a call that ends later than this look tells of it. */
bool mfi_member_is_idle(mf_parent *parent);
/* The wait is over: reports how many calls are left, and since when it drained. */
void mfi_member_drain_report(mf_parent *parent, mfi_drain_reason reason);
void mfi_member_drain_end(mf_parent *parent);

#endif
