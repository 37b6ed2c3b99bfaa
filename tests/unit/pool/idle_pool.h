/* A pool whose members never start: no process, no socket. Their states are set by the test. */
#ifndef IDLE_POOL_H
#define IDLE_POOL_H

#include "core/client/parent.h"
#include "core/pool/pool.h"
#include "mf_test.h"

/* Members "math-0" and so on; drain_timeout_ms as in mf_pool_options. */
mf_pool *idle_pool(int32_t workers, int64_t drain_timeout_ms);
/* Also makes the members those of a pool that was never started. */
void idle_pool_destroy(mf_pool *pool);

mf_parent *idle_member(mf_pool *pool, uint32_t index);
void idle_set_state(mf_pool *pool, uint32_t index, mf_parent_state state);
/* The metrics of its runtime contain this text. */
void idle_check_metrics(const mf_pool *pool, const char *wanted);

#endif
