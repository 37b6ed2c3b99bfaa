/**
 * @file pool.h
 * Several workers of one program, or several services, behind one call interface.
 */
#ifndef MULTIFROST_POOL_H
#define MULTIFROST_POOL_H

#include <stddef.h>
#include <stdint.h>

#include <multifrost/call.h>
#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/parent.h>

MF_EXTERN_C_BEGIN

/** A set of parents. Thread-safe; to be destroyed when no other thread uses it. */
typedef struct mf_pool mf_pool;

#define MF_POOL_WORKERS_MAX 256 /**< Members of one pool. */

/** Set by MF_POOL_OPTIONS_INIT; zero means the default. Copied. */
typedef struct mf_pool_options {
    size_t struct_size;
    const mf_parent_options *parent; /**< Required: how each member is made. */
    int32_t workers;                 /**< Spawn mode: how many of parent->program; default 2. */
    const char *const *service_ids;  /**< Connect mode, instead of parent->program: one member for
                                          each name; NULL-terminated. */
    int32_t min_ready;               /**< Members that make the start a success; default all. */
    int64_t drain_timeout_ms;        /**< Calls of a draining member are waited for so long; default
                                          30,000. */
} mf_pool_options;
#define MF_POOL_OPTIONS_INIT MF_DETAIL_INIT(mf_pool_options)

/**
 * Makes a pool; starts nothing yet. Members share the target's name in metrics and logs and are
 * told apart as its workers ("math-0", "math-1", ...); each has a circuit of its own, under that
 * name. Several workers of one program need parent->port 0.
 * @return As mf_parent_create(); MF_ERR_INVALID_ARGUMENT naming the option.
 */
MF_API MF_NODISCARD mf_status mf_pool_create(mf_pool **ret_pool, const mf_pool_options *options,
                                             mf_error *error);
/** Starts all members side by side. @return MF_OK as soon as min_ready are ready, while the others
 *  go on; else the first failure, and all are stopped again. @par Blocking As mf_parent_start(). */
MF_API MF_NODISCARD mf_status mf_pool_start(mf_pool *pool, mf_error *error);
/** Stops all members side by side. @return As mf_parent_stop(). */
MF_API mf_status mf_pool_stop(mf_pool *pool, mf_error *error);
/** Stops if needed and frees. NULL is a no-op. Not from a callback. */
MF_API void mf_pool_destroy(mf_pool *pool);

/**
 * Calls a member: of two that are ready, picked at random, the one with fewer calls in flight (M.
 * Mitzenmacher, "The power of two choices in randomized load balancing", 1996). When that one
 * cannot take the call (it is not running, its circuit is open, it has too many calls), or when it
 * ended during an idempotent call, another member is tried, each at most once. The tries share the
 * call's timeout and its trace; each is seen in metrics and logs as a call of its member. When no
 * member is ready, the call waits for one that is being started.
 * @return As mf_call_with(); MF_ERR_NOT_RUNNING naming the pool when no member could be tried.
 */
MF_API MF_NODISCARD mf_status mf_pool_call_with(mf_pool *pool, const char *function, mf_args args,
                                                const mf_call_options *options,
                                                mf_result **ret_result, mf_error *error);
/** mf_pool_call_with() with default options. */
MF_API MF_NODISCARD mf_status mf_pool_call(mf_pool *pool, const char *function, mf_args args,
                                           mf_result **ret_result, mf_error *error);
/** As mf_call_async(); another member is tried only while the call is being handed over. */
MF_API MF_NODISCARD mf_status mf_pool_call_async(mf_pool *pool, const char *function, mf_args args,
                                                 const mf_call_options *options, mf_call_fn done,
                                                 void *user_data, mf_error *error);
/** As mf_call_future(), likewise. */
MF_API MF_NODISCARD mf_status mf_pool_call_future(mf_pool *pool, const char *function, mf_args args,
                                                  const mf_call_options *options,
                                                  mf_future **ret_future, mf_error *error);

/**
 * Takes a member out: it gets no new calls, and its calls in flight are waited for.
 * @return MF_OK; MF_ERR_TIMEOUT after drain_timeout_ms (it stays out); MF_ERR_CANCELLED when
 *         mf_pool_resume() put it back meanwhile; MF_ERR_INVALID_ARGUMENT; MF_ERR_WOULD_DEADLOCK
 *         on the engine thread; MF_ERR_FORKED.
 * @par Blocking At most drain_timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_pool_drain(mf_pool *pool, uint32_t index, mf_error *error);
/** Puts a member back that is drained, or being drained. @return MF_OK; MF_ERR_INVALID_ARGUMENT. */
MF_API MF_NODISCARD mf_status mf_pool_resume(mf_pool *pool, uint32_t index, mf_error *error);
/**
 * Drains, restarts and puts back one member after the other, so that no call fails. Where no other
 * member could serve, as in a pool of one, calls wait for the new worker (or fail fast by option).
 * @return MF_OK; the first failure, after which the rest is left as it is; MF_ERR_TIMEOUT when a
 *         member is not idle after drain_timeout_ms (it is put back); MF_ERR_STATE while another
 *         one goes on; MF_ERR_WOULD_DEADLOCK on the engine thread; MF_ERR_FORKED.
 * @par Blocking For all of it.
 */
MF_API MF_NODISCARD mf_status mf_pool_rolling_restart(mf_pool *pool, mf_error *error);

/** How many members it has. */
MF_API uint32_t mf_pool_size(const mf_pool *pool);
/** One of them, borrowed from the pool; NULL beyond the last. */
MF_API mf_parent *mf_pool_member(mf_pool *pool, uint32_t index);

MF_EXTERN_C_END

#endif
