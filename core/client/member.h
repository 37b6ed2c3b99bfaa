/* What a pool needs of its members beyond what mf_parent offers to everybody. */
#ifndef MFI_CLIENT_MEMBER_H
#define MFI_CLIENT_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/call.h>
#include <multifrost/parent.h>

#include "core/words/drains.h"
#include "core/words/refusals.h"

#define MFI_MEMBER_TEXT_MAX 384 /* of an explanation */

/* Makes a parent that is one of several with the same target: it is the target's worker number
 * `index` ("math-2"), and its circuit has that name too. */
mf_status mfi_member_create(mf_parent **ret_parent, const mf_parent_options *options,
                            uint32_t index, mf_error *error);
/* What it was made with, after the defaults: borrowed as long as the member. */
const char *mfi_member_target(const mf_parent *parent);
const char *mfi_member_worker(const mf_parent *parent);
int64_t mfi_member_call_timeout_ms(const mf_parent *parent);
/* Calls that come while its worker is being restarted are refused. */
bool mfi_member_fails_fast(const mf_parent *parent);
/* Any thread: its state, and whether its circuit refuses calls now. */
mf_parent_state mfi_member_state(const mf_parent *parent);
bool mfi_member_circuit_is_open(const mf_parent *parent);
/* Why it is not ready, and what happens next, for people. */
void mfi_member_explain(mf_parent *parent, char *to, size_t size);
/* A call that no member could be asked to take: error says why, reason is how it is counted. It is
 * counted and logged as one that this member refused. Gives error's code, unless an argument is
 * bad. */
mf_status mfi_member_refuse(mf_parent *parent, const char *function, mf_args args,
                            const mf_call_options *options, mfi_refusal reason, mf_error *error);
/* Asks it to stop, without waiting: mf_parent_stop() is to follow. */
void mfi_member_stop_begin(mf_parent *parent);
/* User calls that are not finished; those that wait for a retry too. Any thread. */
uint32_t mfi_member_calls_open(const mf_parent *parent);
/* Between begin and end the member counts as draining in the metrics, and both are logged. Calls
 * are not refused: the pool gives it none. */
void mfi_member_drain_begin(mf_parent *parent, mfi_drain_reason reason);
/* A thread that waits for its calls to end reads the news, then checks what it waits for, and then
 * sleeps until there are others, or the deadline has passed. */
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
