/**
 * @file child.h
 * The worker side: registers functions and answers calls.
 */
#ifndef MULTIFROST_CHILD_H
#define MULTIFROST_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/error.h>
#include <multifrost/export.h>
#include <multifrost/runtime.h>
#include <multifrost/value.h>

MF_EXTERN_C_BEGIN

typedef struct mf_child mf_child;       /**< A worker. See each function for its threads. */
typedef struct mf_request mf_request;   /**< One call, as long as its handler runs. */
typedef struct mf_reply mf_reply;       /**< Its answer, as long as its handler runs. */
typedef struct mf_deferred mf_deferred; /**< An answer that is given later, from any thread. */

/** Set by MF_CHILD_OPTIONS_INIT; zero means the default. Texts are copied. */
typedef struct mf_child_options {
    size_t struct_size;
    mf_runtime *runtime;        /**< NULL: a private one with role "child", destroyed with it. */
    const char *service_id;     /**< For a child that no parent spawned; ignored when
                                     COMLINK_ZMQ_PORT is set. */
    const char *namespace_name; /**< Calls for another one are ignored; default "default". */
    bool no_signals;            /**< Leave SIGTERM and SIGINT alone while running. */
    bool no_output_capture;     /**< Leave stdout and stderr alone while running. */
    int32_t max_queued;         /**< Calls waiting behind a running handler, and deferred answers
                                     that are not given yet; default 10,000. What comes beyond is
                                     refused ("ServerOverloaded"). */
    int64_t max_message_bytes;  /**< Either way; at least 1024, default and most 67,108,864. */
    int64_t max_string_bytes; /**< One str or bin, either way; at least 256, default 10,485,760. */
    int64_t max_items;        /**< Of one array or map, either way; at least 16, default 100,000. */
    int32_t threads;          /**< Threads that run handlers; default 1: mf_child_run()'s own. */
    int64_t deferred_timeout_ms;      /**< For deferred replies; default 30,000. */
    const char *bind_address;         /**< Service mode: IPv4 address; default "127.0.0.1". */
    uint16_t port;                    /**< Service mode: default 0, a free one. */
    const char *registry_directory;   /**< Where services.json is; default "$HOME/.multifrost". */
    int64_t lock_timeout_ms;          /**< For the registry's locks; default 10,000. */
    void (*on_stop)(void *user_data); /**< Runs on mf_child_run()'s thread before it returns. */
    void *user_data;                  /**< For on_stop. */
    int64_t max_queued_bytes; /**< Of the waiting calls, which are refused beyond, and again of all
                                   messages that peers do not take, which are dropped beyond; at
                                   least max_message_bytes, default 268,435,456. */
} mf_child_options;
#define MF_CHILD_OPTIONS_INIT MF_DETAIL_INIT(mf_child_options)

/**
 * Makes a worker from its environment: COMLINK_ZMQ_PORT says where the parent waits (spawn mode);
 * without it the worker binds a port of its own and registers as service_id (service mode).
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT naming the option, or the port that is not 1024 to 65535;
 *         MF_ERR_NOT_FOUND without COMLINK_ZMQ_PORT and service_id; MF_ERR_NO_MEMORY;
 *         MF_ERR_SYSTEM; errors of mf_runtime_create(). A worker program prints the text to
 *         stderr and exits with status 1.
 */
MF_API MF_NODISCARD mf_status mf_child_create(mf_child **ret_child, const mf_child_options *options,
                                              mf_error *error);
/** Frees. NULL is a no-op. Not while it runs. */
MF_API void mf_child_destroy(mf_child *child);

/**
 * Answers one call: reads the arguments, sets the reply, returns MF_OK. Any other status becomes an
 * error answer (with the text of a failed mf_request_unpack(), else the status's).
 * Runs on mf_child_run()'s thread, or with `threads` on one of the pool's; may block and may call
 * other parents.
 */
typedef mf_status (*mf_handler_fn)(mf_request *request, mf_reply *reply, void *user_data);

/**
 * Registers a function; before mf_child_run() only.
 * @param name UTF-8, 1 to 256 bytes. Names that begin with "_" are private: callers get the
 *             protocol's refusal. "ping", "list_functions" and "listFunctions" exist already and
 * may be replaced.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_EXISTS; MF_ERR_STATE; MF_ERR_NO_MEMORY. The first
 *         failure is remembered and returned by mf_child_run() too.
 */
MF_API mf_status mf_child_handle(mf_child *child, const char *name, mf_handler_fn handler,
                                 void *user_data);

/**
 * Connects (spawn mode) or binds and registers (service mode), and answers calls until SIGTERM,
 * SIGINT, SHUTDOWN, mf_child_stop() or, in spawn mode, the end of the parent process. A worker that
 * seems to be an orphan from the beginning (its parent process is of another session) ends when
 * nobody has accepted its connection within ten seconds.
 *
 * While it runs, what the process prints to stdout and stderr is forwarded to its parents as
 * messages, line by line.
 * @return MF_OK; the first failure of mf_child_handle(); MF_ERR_STATE if it ran before;
 *         MF_ERR_EXISTS ("FATAL: Service 'x' already running (PID: n, port: p)");
 *         MF_ERR_ADDRESS_IN_USE; MF_ERR_TIMEOUT for the registry's locks; MF_ERR_PROTOCOL for a
 *         registry file that is broken; MF_ERR_LIMIT when descriptors run out; MF_ERR_SYSTEM;
 *         MF_ERR_IO; MF_ERR_FORKED.
 * @par Blocking Until the end.
 */
MF_API mf_status mf_child_run(mf_child *child, mf_error *error);

/** Makes mf_child_run() return after the running handler. @par Threads Thread- and signal-safe. */
MF_API void mf_child_stop(mf_child *child);

/** Port that is bound in service mode, 0 before. @par Threads Thread-safe. */
MF_API uint16_t mf_child_port(mf_child *child);

/* ---- Requests: on the handler's thread, until the handler returns ---- */

/** Name that was called. */
MF_API const char *mf_request_function(const mf_request *request);
/** All arguments; borrowed from the request. */
MF_API mf_args mf_request_args(const mf_request *request);
/** The call's metadata, a map; nil if it had none. Borrowed from the request. */
MF_API const mf_value *mf_request_metadata(mf_request *request);
/** Ids of the call (correlation, trace, request); borrowed. The same is current on the thread. */
MF_API const mf_context *mf_request_context(const mf_request *request);
/** Name of the caller, or NULL if it gave none. */
MF_API const char *mf_request_client_name(mf_request *request);
/** Milliseconds that the caller still waits, MF_TIMEOUT_INFINITE if it did not say. Calls that the
 *  handler makes are bounded by it by themselves. */
MF_API int64_t mf_request_deadline_ms(const mf_request *request);
/** Reads exactly `count` arguments. @return MF_OK or MF_ERR_TYPE. Mind mf_request_unpack(). */
MF_API MF_NODISCARD mf_status mf_request_read(mf_request *request, const mf_out *outs,
                                              uint32_t count);

#ifndef __cplusplus
/** Reads all arguments into typed variables: mf_request_unpack(request, &a, &b). */
#define mf_request_unpack(request, ...)                                                            \
    mf_request_read((request), (const mf_out[]){MF_DETAIL_FOR_EACH(MF_OUT, __VA_ARGS__)},          \
                    MF_DETAIL_COUNT(__VA_ARGS__))
/** Sets the result from a C value: mf_reply_value(reply, a + b). */
#define mf_reply_value(reply, x) mf_reply_set((reply), MF_VALUE(x))
#endif

/* ---- Replies ---- */

/** Sets the result; copied at once. Without one the answer is nil.
 *  @return MF_OK, or why it cannot be sent (the answer is then that error). */
MF_API mf_status mf_reply_set(mf_reply *reply, mf_value value);
/**
 * Makes the answer an error "<type>: <text>", without control characters.
 * @param type A class or code such as "ValueError", of 256 bytes at most. NULL: the text alone.
 * @return MF_OK: the answer is set.
 */
MF_API mf_status mf_reply_error(mf_reply *reply, const char *type, const char *format, ...)
    MF_PRINTF(3, 4);

/** Adds a pair to the answer's metadata; copied. value must be a bool, a number or a str.
 *  @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_LIMIT beyond 16 pairs or 4 KiB. */
MF_API mf_status mf_reply_metadata(mf_reply *reply, const char *key, mf_value value);

/**
 * Makes the answer one that is given later: the handler returns MF_OK without setting it, and any
 * thread calls mf_deferred_set() or mf_deferred_error() once, which frees the handle. When that has
 * not happened within deferred_timeout_ms, or when the worker stops, the caller gets an error
 * answer; the handle stays valid until its one call.
 * @return NULL without memory, or when the reply is deferred already.
 */
MF_API MF_NODISCARD mf_deferred *mf_reply_defer(mf_reply *reply);
/** Answers with a value, copied at once, and frees the handle.
 *  @return MF_OK; MF_ERR_TIMEOUT or MF_ERR_CANCELLED when the caller was answered already; why the
 *          value cannot be sent (the answer is then that error). @par Threads Thread-safe. */
MF_API mf_status mf_deferred_set(mf_deferred *deferred, mf_value value);
/** Answers with an error, as mf_reply_error(), and frees the handle. */
MF_API mf_status mf_deferred_error(mf_deferred *deferred, const char *type, const char *format, ...)
    MF_PRINTF(3, 4);

MF_EXTERN_C_END

#endif
