/* The functions of a parent that only a pool needs. */
#ifndef MFI_CLIENT_MEMBER_H
#define MFI_CLIENT_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include <multifrost/call.h>
#include <multifrost/parent.h>

#include "core/words/drains.h"
#include "core/words/refusals.h"

#define MFI_MEMBER_TEXT_MAX 384 /* bytes of an explanation */

/* Makes a parent that shares its target with others of its pool. */
mf_status mfi_member_create(mf_parent **ret_parent, const mf_parent_options *options,
                            mf_error *error);
/* Names of the member after the defaults were filled in: borrowed as long as the member. */
const char *mfi_member_target(const mf_parent *parent);
const char *mfi_member_worker(const mf_parent *parent);
int64_t mfi_member_call_timeout_ms(const mf_parent *parent);
/* True if calls are refused while the worker is being restarted. */
bool mfi_member_fails_fast(const mf_parent *parent);
/* Any thread: the state, whether the circuit refuses calls now, and whether a ready worker is
 * frozen.
 */
mf_parent_state mfi_member_state(const mf_parent *parent);
bool mfi_member_circuit_is_open(const mf_parent *parent);
bool mfi_member_is_frozen(const mf_parent *parent);
/* Writes for people why the member is not ready, or frozen, and what happens next. */
void mfi_member_explain(mf_parent *parent, char *to, size_t size);
/* Refuses a call that no member could be asked to take. error says why; reason is the reason that
 * is counted. The call is counted and logged as refused by this member. Returns error's code, or
 * MF_ERR_INVALID_ARGUMENT if an argument is bad. */
mf_status mfi_member_refuse(mf_parent *parent, const char *function, mf_args args,
                            const mf_call_options *options, mfi_refusal reason, mf_error *error);
/* Asks the member to stop, without waiting. mf_parent_stop() must follow. */
void mfi_member_stop_begin(mf_parent *parent);
/* Number of user calls that are not finished, those that wait for a retry included. Any thread. */
uint32_t mfi_member_calls_open(const mf_parent *parent);
/* Between begin and end the metrics count the member as draining; both are logged. The member
 * refuses no calls, because the pool gives it none. */
void mfi_member_drain_begin(mf_parent *parent, mfi_drain_reason reason);
/* Waiting for the member's calls to end: the thread reads the news, checks its condition, and then
 * sleeps until the news change or the deadline has passed. */
uint32_t mfi_member_drain_news(const mf_parent *parent);
void mfi_member_drain_sleep(mf_parent *parent, uint32_t news, uint64_t deadline_ns);
/* Changes the news: a call has ended, or no thread need wait any more. */
void mfi_member_drain_tell(mf_parent *parent);
/* True if no call is open. A call that ends after this check changes the news. */
bool mfi_member_is_idle(mf_parent *parent);
/* The wait is over: reports how many calls are left, and how long the member drained. */
void mfi_member_drain_report(mf_parent *parent, mfi_drain_reason reason);
void mfi_member_drain_end(mf_parent *parent);

#endif
