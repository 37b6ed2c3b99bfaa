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

/** A set of parents with one target. Thread-safe; no other thread may use the pool while it is
 *  destroyed. */
typedef struct mf_pool mf_pool;

#define MF_POOL_WORKERS_MAX 256 /**< Members of one pool. */

/** Set by MF_POOL_OPTIONS_INIT; zero means the default. Copied. */
typedef struct mf_pool_options {
    size_t struct_size;
    const mf_parent_options *parent; /**< Required: how each member is made; its circuit too, which
                                          each member has for itself. */
    int32_t workers; /**< Spawn mode: number of workers of parent->program; default 2. */
    const char *const *service_ids; /**< Connect mode, instead of parent->program: one member for
                                         every name; NULL-terminated. */
    int32_t min_ready;        /**< The start succeeds with so many ready members; default all. */
    int64_t drain_timeout_ms; /**< Longest wait for the calls of a draining member; default
                                   30,000. */
    const char *const *endpoints; /**< Connect mode without a registry, instead of service_ids: one
                                       member for every address (mf_parent_options.endpoint);
                                       NULL-terminated. With parent->endpoint instead, all
                                       `workers` members connect to that one address. */
} mf_pool_options;
#define MF_POOL_OPTIONS_INIT MF_DETAIL_INIT(mf_pool_options)

/**
 * Makes a pool. Starts nothing yet.
 *
 * The members share the target's name in metrics and logs, and differ in the worker's name
 * ("math-0", "math-1", ...). Every member has a circuit of its own, under the worker's name.
 * Several workers of one program need parent->port 0.
 *
 * @param ret_pool Not NULL. On MF_OK a pool for mf_pool_destroy(); untouched on failure.
 * @param options  Not NULL. Copied.
 * @param error    NULL, or filled on failure.
 * @return As mf_parent_create(); MF_ERR_INVALID_ARGUMENT names the option.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_pool_create(mf_pool **ret_pool, const mf_pool_options *options,
                                             mf_error *error);
/**
 * Starts all members at the same time.
 *
 * @param pool  Borrowed; not NULL.
 * @param error NULL, or filled on failure.
 * @return MF_OK as soon as min_ready members are ready; the others continue to start. Else the
 *         first failure, as mf_parent_start(); then all members are stopped.
 * @par Threads  Thread-safe.
 * @par Blocking As mf_parent_start().
 */
MF_API MF_NODISCARD mf_status mf_pool_start(mf_pool *pool, mf_error *error);
/**
 * Stops all members at the same time.
 *
 * @param pool  Borrowed; not NULL.
 * @param error NULL, or filled on failure.
 * @return As mf_parent_stop().
 * @par Threads  Thread-safe.
 * @par Blocking As mf_parent_stop().
 */
MF_API mf_status mf_pool_stop(mf_pool *pool, mf_error *error);
/**
 * Stops the pool if needed, and frees it. Not in a callback.
 *
 * @param pool NULL is a no-op.
 * @par Threads  No other thread may use the pool any more.
 * @par Blocking As mf_pool_stop().
 */
MF_API void mf_pool_destroy(mf_pool *pool);

/**
 * Calls a member and waits for the result.
 *
 * Two ready members are picked at random. The call goes to the one with fewer calls in flight (M.
 * Mitzenmacher, "The power of two choices in randomized load balancing", 1996). Another member is
 * tried if that member cannot take the call (it is not running, its circuit is open, it has too
 * many calls), or if it ended during an idempotent call. Every member is tried once at most. The
 * tries share the call's timeout and its trace; metrics and logs show every try as a call of its
 * member. If no member is ready, the call waits for a member that is being started.
 *
 * @param pool       Borrowed; not NULL.
 * @param function   As for mf_call_with(), like all parameters below.
 * @param args       MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options    NULL for defaults. Copied.
 * @param ret_result NULL, or on MF_OK a result for mf_result_destroy(); untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return As mf_call_with(); MF_ERR_NOT_RUNNING naming the pool if no member could be tried.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms of the options.
 */
MF_API MF_NODISCARD mf_status mf_pool_call_with(mf_pool *pool, const char *function, mf_args args,
                                                const mf_call_options *options,
                                                mf_result **ret_result, mf_error *error);
/**
 * Calls a member with default options and waits for the result.
 *
 * @param pool       As for mf_pool_call_with(), like all parameters.
 * @param function   UTF-8, 1 to 256 bytes.
 * @param args       MF_ARGS(...) or MF_NO_ARGS.
 * @param ret_result NULL, or on MF_OK a result for mf_result_destroy().
 * @param error      NULL, or filled on failure.
 * @return As mf_pool_call_with().
 * @par Threads  Thread-safe.
 * @par Blocking At most call_timeout_ms of the parent's options.
 */
MF_API MF_NODISCARD mf_status mf_pool_call(mf_pool *pool, const char *function, mf_args args,
                                           mf_result **ret_result, mf_error *error);
/**
 * Calls a member without waiting. Another member is tried only if the first refuses the call at
 * once, not if the call fails later.
 *
 * @param pool      Borrowed; not NULL.
 * @param function  As for mf_call_async(), like all parameters below.
 * @param args      MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options   NULL for defaults. Copied.
 * @param done      Called exactly once if MF_OK is returned, else never.
 * @param user_data Passed to done.
 * @param error     NULL, or filled on failure.
 * @return As mf_call_async(); MF_ERR_NOT_RUNNING naming the pool if no member could be tried.
 * @par Threads  Thread-safe, also in callbacks.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_pool_call_async(mf_pool *pool, const char *function, mf_args args,
                                                 const mf_call_options *options, mf_call_fn done,
                                                 void *user_data, mf_error *error);
/**
 * Calls a member without waiting; a thread can wait for the future. Another member is tried as for
 * mf_pool_call_async().
 *
 * @param pool       Borrowed; not NULL.
 * @param function   As for mf_call_future(), like all parameters below.
 * @param args       MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options    NULL for defaults. Copied.
 * @param ret_future Not NULL. On MF_OK a future for mf_future_destroy(); untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return As mf_pool_call_async().
 * @par Threads  Thread-safe, also in callbacks.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_pool_call_future(mf_pool *pool, const char *function, mf_args args,
                                                  const mf_call_options *options,
                                                  mf_future **ret_future, mf_error *error);

/**
 * Takes a member out: the member gets no new calls, and its calls in flight are waited for.
 *
 * @param pool  Borrowed; not NULL.
 * @param index 0 to mf_pool_size() - 1.
 * @param error NULL, or filled on failure.
 * @return MF_OK; MF_ERR_TIMEOUT after drain_timeout_ms (the member stays out); MF_ERR_CANCELLED if
 *         mf_pool_resume() put the member back meanwhile; MF_ERR_INVALID_ARGUMENT;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread; MF_ERR_FORKED.
 * @par Threads  Thread-safe.
 * @par Blocking At most drain_timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_pool_drain(mf_pool *pool, uint32_t index, mf_error *error);
/**
 * Puts a member back that was taken out by mf_pool_drain(), or is being taken out.
 *
 * @param pool  Borrowed; not NULL.
 * @param index 0 to mf_pool_size() - 1.
 * @param error NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_FORKED.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_pool_resume(mf_pool *pool, uint32_t index, mf_error *error);
/**
 * Takes out, restarts and puts back one member after the other, so that no call fails. If no other
 * member can serve, as in a pool of one, calls wait for the new worker, or fail at once with
 * fail_fast.
 *
 * @param pool  Borrowed; not NULL.
 * @param error NULL, or filled on failure.
 * @return MF_OK; the first failure of mf_parent_restart(), after which the other members are left
 *         unchanged; MF_ERR_TIMEOUT if a member still has calls after drain_timeout_ms (the member
 *         is put back); MF_ERR_STATE if another rolling restart is running;
 *         MF_ERR_INVALID_ARGUMENT; MF_ERR_WOULD_DEADLOCK on the engine thread; MF_ERR_FORKED.
 * @par Threads  Thread-safe.
 * @par Blocking Until all members are restarted.
 */
MF_API MF_NODISCARD mf_status mf_pool_rolling_restart(mf_pool *pool, mf_error *error);

/** Reads the number of members. @param pool Borrowed; NULL gives 0. @return The number.
 *  @par Threads Thread-safe. */
MF_API uint32_t mf_pool_size(const mf_pool *pool);
/** Gives a member. @param pool Borrowed; NULL gives NULL. @param index 0 to mf_pool_size() - 1.
 *  @return Borrowed as long as the pool; NULL for a greater index. @par Threads Thread-safe. */
MF_API mf_parent *mf_pool_member(mf_pool *pool, uint32_t index);

MF_EXTERN_C_END

#endif
