/**
 * @file call.h
 * Calls of remote functions: waiting, with a callback, or with a future.
 */
#ifndef MULTIFROST_CALL_H
#define MULTIFROST_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/parent.h>
#include <multifrost/retry.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

/** A result and the memory it points into. One thread at a time. May outlive its parent. */
typedef struct mf_result mf_result;
/** An asynchronous call that can be waited for. Thread-safe, one waiter at a time. */
typedef struct mf_future mf_future;

/** Options of one call. Set by MF_CALL_OPTIONS_INIT; zero means the default. All copied. */
typedef struct mf_call_options {
    size_t struct_size;
    int64_t timeout_ms;         /**< Default: the parent's call_timeout_ms; MF_TIMEOUT_INFINITE. */
    const char *namespace_name; /**< Default: the parent's. */
    const char *client_name;    /**< Default: the parent's. */
    const char *correlation_id; /**< [A-Za-z0-9._:-]{1,128}; default: of the call that runs on this
                                     thread, else the trace id. */
    const char *traceparent;    /**< W3C form; default: of the running call, else a new trace. */
    const mf_value *metadata;   /**< A map to send along, or NULL; at most 4 KiB encoded. */
    const mf_retry_policy *retry; /**< NULL: one attempt. */
    bool idempotent;              /**< The function may run more than once for one call. */
} mf_call_options;
#define MF_CALL_OPTIONS_INIT MF_DETAIL_INIT(mf_call_options)

/**
 * Calls a remote function with options and waits for its result.
 *
 * @param parent     Borrowed.
 * @param function   UTF-8, 1 to 256 bytes. Copied.
 * @param args       MF_ARGS(...) or MF_NO_ARGS. Borrowed until the return.
 * @param options    NULL for defaults.
 * @param ret_result NULL, or on MF_OK a result for mf_result_destroy(); untouched on failure.
 * @param error      NULL, or filled on failure.
 * @return MF_OK;
 *         MF_ERR_REMOTE, MF_ERR_FUNCTION_NOT_FOUND (error has the remote text);
 *         MF_ERR_TIMEOUT; MF_ERR_CIRCUIT_OPEN; MF_ERR_NOT_RUNNING (before start, after stop, worker
 *         gone); MF_ERR_WORKER_EXITED (during the call, naming how); MF_ERR_CANCELLED (stopped
 *         during the call); MF_ERR_TOO_MANY_CALLS; MF_ERR_INVALID_ARGUMENT (options, or a value
 * that cannot be sent); MF_ERR_LIMIT (message too large); MF_ERR_PROTOCOL (malformed answer);
 *         MF_ERR_IO (it could not be handed to the transport); MF_ERR_WOULD_DEADLOCK (from a
 *         callback of the same runtime); MF_ERR_FORKED; MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms.
 */
MF_API MF_NODISCARD mf_status mf_call_with(mf_parent *parent, const char *function, mf_args args,
                                           const mf_call_options *options, mf_result **ret_result,
                                           mf_error *error);

/** mf_call_with() with default options. */
MF_API MF_NODISCARD mf_status mf_call(mf_parent *parent, const char *function, mf_args args,
                                      mf_result **ret_result, mf_error *error);

/** Runs once on the engine thread when a call has ended. Must not block. result is transferred
 *  (NULL unless MF_OK); error is borrowed. */
typedef void (*mf_call_fn)(mf_status status, mf_result *result, const mf_error *error,
                           void *user_data);

/**
 * Calls without waiting.
 * @param done Called exactly once, and only if MF_OK is returned.
 * @return MF_OK if the call is on its way, else what refused it (see mf_call_with()).
 * @par Threads  Thread-safe, also from callbacks.
 * @par Blocking No.
 */
MF_API MF_NODISCARD mf_status mf_call_async(mf_parent *parent, const char *function, mf_args args,
                                            const mf_call_options *options, mf_call_fn done,
                                            void *user_data, mf_error *error);

/** As mf_call_async(), with a future for mf_future_destroy(). */
MF_API MF_NODISCARD mf_status mf_call_future(mf_parent *parent, const char *function, mf_args args,
                                             const mf_call_options *options, mf_future **ret_future,
                                             mf_error *error);
/**
 * Waits for the call's end.
 * @param ret_result NULL, or on MF_OK the result, transferred; a second wait gives MF_ERR_STATE.
 * @return What mf_call_with() would; MF_ERR_TIMEOUT with a message that says so if only the wait
 *         timed out: the call goes on and may be waited for again.
 * @par Blocking At most timeout_ms; 0 only looks.
 */
MF_API MF_NODISCARD mf_status mf_future_wait(mf_future *future, int64_t timeout_ms,
                                             mf_result **ret_result, mf_error *error);
/**
 * Ends the call now with MF_ERR_CANCELLED, if it has not ended yet; its waiter gets that. The
 * worker is not told and may still run it. NULL is a no-op.
 * @par Threads Thread-safe, also from callbacks; not after the parent was destroyed.
 */
MF_API void mf_future_cancel(mf_future *future);
/** Whether the call has ended. */
MF_API bool mf_future_is_done(const mf_future *future);

/**
 * Waits until all of the futures have ended; their outcomes are read by mf_future_wait() with 0.
 * @return MF_OK; MF_ERR_TIMEOUT naming how many are still going on; MF_ERR_INVALID_ARGUMENT;
 *         MF_ERR_WOULD_DEADLOCK on the engine thread.
 * @par Blocking At most timeout_ms; 0 only looks.
 */
MF_API MF_NODISCARD mf_status mf_futures_wait_all(mf_future *const *futures, size_t count,
                                                  int64_t timeout_ms, mf_error *error);
/**
 * Waits until one of the futures has ended. NULL entries are passed over.
 * @param ret_index On MF_OK the first that has ended.
 * @return As mf_futures_wait_all(); MF_ERR_INVALID_ARGUMENT also when all are NULL.
 */
MF_API MF_NODISCARD mf_status mf_futures_wait_any(mf_future *const *futures, size_t count,
                                                  int64_t timeout_ms, size_t *ret_index,
                                                  mf_error *error);

/** Gives the future up, ended or not; the call itself goes on. NULL is a no-op. */
MF_API void mf_future_destroy(mf_future *future);

/**
 * Registers a function name before it is called, so that it has its own label in the metrics even
 * when many names follow (the first 32 names of a target have).
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_LIMIT when 32 names are there already.
 */
MF_API MF_NODISCARD mf_status mf_parent_prepare(mf_parent *parent, const char *function,
                                                mf_error *error);

/* ---- Results ---- */

/** Frees. NULL is a no-op. */
MF_API void mf_result_destroy(mf_result *result);
/** The value; borrowed as long as the result. Never NULL; nil for NULL or without memory. */
MF_API const mf_value *mf_result_value(mf_result *result);
/** The metadata of the answer, a map; nil if it had none. Borrowed as long as the result. */
MF_API const mf_value *mf_result_metadata(mf_result *result);
/** Reads it as a C type: mf_result_read(result, MF_OUT(&number), &error).
 *  @return MF_OK; MF_ERR_TYPE naming both types; MF_ERR_NO_MEMORY. */
MF_API MF_NODISCARD mf_status mf_result_read(mf_result *result, mf_out out, mf_error *error);
/** The value, or 0 / 0.0 / false / "" if it is of another type. */
MF_API int64_t mf_result_int(mf_result *result);
MF_API double mf_result_double(mf_result *result);
MF_API bool mf_result_bool(mf_result *result);
MF_API const char *mf_result_str(mf_result *result);

MF_EXTERN_C_END

#endif
