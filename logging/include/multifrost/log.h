/**
 * @file log.h
 * Structured events as JSON lines, written by another thread, with the ids of the running call.
 *
 * A record goes through a lock-free ring to one writer thread, so that logging never blocks on I/O
 * and never allocates. Records that find the ring full are counted and reported in the log itself.
 * Without a sink a logger is silent.
 *
 * Nothing waits for the reader of a sink. Lines that a sink does not take wait in its outbox of
 * 1 MiB. When that is full, or a write fails, the sink loses records, and declares them by a
 * `log_dropped` record of its own (reason `sink_error`, count, first_seq, last_seq, error) before
 * the next line that it takes. That record has the `seq` last_seq, so other sinks have no gap.
 */
#ifndef MULTIFROST_LOG_H
#define MULTIFROST_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <multifrost/context.h>
#include <multifrost/error.h>
#include <multifrost/export.h>

MF_EXTERN_C_BEGIN

typedef struct mf_logger mf_logger; /**< Thread-safe. A runtime has one of its own. */

/** Severity. MF_LOG_DEFAULT in options means COMLINK_LOG_LEVEL, else info. */
typedef enum mf_log_level {
    MF_LOG_DEFAULT = 0,
    MF_LOG_TRACE = 1,
    MF_LOG_DEBUG = 2,
    MF_LOG_INFO = 3,
    MF_LOG_WARN = 4,
    MF_LOG_ERROR = 5,
    MF_LOG_FATAL = 6,
    MF_LOG_OFF = 7, /**< As a logger's level: no records. */
} mf_log_level;

/** The form of a sink's lines. */
typedef enum mf_log_format {
    MF_LOG_JSON = 0,  /**< One JSON object in each line. */
    MF_LOG_HUMAN = 1, /**< Time, level, event and fields, for a terminal. */
} mf_log_format;

/** Options of a logger. Set by MF_LOG_OPTIONS_INIT; zero means the default. */
typedef struct mf_log_options {
    size_t struct_size;
    mf_log_level level;
    const char *service;           /**< Default: the program's name. Copied. */
    const char *instance;          /**< Default: host name and pid. Copied. */
    const char *role;              /**< "parent" or "child"; default "parent". Copied. */
    size_t ring_records;           /**< Records that may wait; default 4096. */
    bool no_correlation_ids;       /**< Leaves correlation, trace and request ids out. */
    int32_t log_sample_first;      /**< Below MF_LOG_WARN, the first N records of each event and
                                        function in a second are kept; default 0: all. */
    int32_t log_sample_thereafter; /**< After those, every Nth is kept; default 0: none. */
    /** Keys whose values are written as "[redacted]", beside the built-in ones; NULL-terminated, or
     *  NULL; at most 64. Copied. Each is a whole key, or the end of one behind an underscore ("pin"
     *  masks `pin` and `card_pin`), in any case. It works on fields of mf_log_event(). The built-in
     *  words count anywhere in a key: password, token, authorization, secret, cookie, api_key. */
    const char *const *redact_keys;
    int64_t redact_value_bytes; /**< Texts of fields that are longer are masked whatever their key
                                     is; default 0: none. */
} mf_log_options;
#define MF_LOG_OPTIONS_INIT MF_DETAIL_INIT(mf_log_options)

/**
 * Makes a logger. The logger is silent until a sink is added; the first sink starts the writer
 * thread.
 *
 * A logger of the program's own does not look at COMLINK_LOG_SINK. Only the logger of a runtime has
 * the sink that this variable names: see runtime.h.
 *
 * @param ret_logger Not NULL. On MF_OK a logger for mf_logger_destroy(); untouched on failure.
 * @param options    NULL for defaults. Copied.
 * @param error      NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT (also for a COMLINK_LOG_LEVEL that is no level: the
 *         message lists the words); MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_logger_create(mf_logger **ret_logger,
                                               const mf_log_options *options, mf_error *error);
/**
 * Writes all queued records, closes the sinks and frees the logger. What a sink does not take
 * within 2 s is lost to that sink. A function that has not returned by then is left running: the
 * function and its user_data must stay until it returns, and it is not called again.
 *
 * @param logger NULL is a no-op.
 * @par Threads  No other thread may use the logger any more.
 * @par Blocking Until the records are written, for stuck readers at most 2 s in all.
 */
MF_API void mf_logger_destroy(mf_logger *logger);

/**
 * Adds a file as a sink. Lines are appended; a new file has mode 0600. Records produced before are
 * not written to it. A FIFO needs a reader: without one this is an MF_ERR_IO.
 *
 * @param logger Borrowed; not NULL.
 * @param path   Not NULL. Copied.
 * @param format The form of the lines.
 * @param error  NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_IO naming the path and the reason; MF_ERR_LIMIT
 *         (too many sinks); MF_ERR_SYSTEM (no writer thread); MF_ERR_NO_MEMORY.
 * @par Threads  Thread-safe.
 * @par Blocking Never for another sink or a reader; only for the disk that holds the file.
 */
MF_API MF_NODISCARD mf_status mf_log_add_file(mf_logger *logger, const char *path,
                                              mf_log_format format, mf_error *error);
/**
 * Adds a descriptor (STDOUT_FILENO, STDERR_FILENO, ...) as a sink. Flags of the descriptor stay as
 * they are: a pipe or terminal is opened anew through /proc/self/fd, and what cannot be opened anew
 * gets a thread. To a pipe, lines have at most PIPE_BUF bytes, so that processes do not mix theirs.
 * To a datagram socket each line is a message.
 *
 * @param fd Duplicated; the caller may close it. The other parameters are as above.
 * @return As mf_log_add_file(). MF_ERR_IO names the descriptor, also one that is open for reading
 *         only.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_log_add_fd(mf_logger *logger, int fd, mf_log_format format,
                                            mf_error *error);
/** Receives each line on a thread that only this sink has: NUL-terminated, without a newline,
 *  borrowed until the return; length is in bytes. A function that is slow or blocks delays no other
 *  sink, and loses lines of its own. The function must not log. */
typedef void (*mf_log_sink_fn)(mf_log_level level, const char *line, size_t length,
                               void *user_data);
/**
 * Adds a function as a sink.
 *
 * @param sink      Not NULL.
 * @param user_data Passed to sink; must live until the logger is destroyed, or until a function
 *                  that mf_logger_destroy() left running returns. The other parameters are as
 *                  above.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT; MF_ERR_LIMIT (too many sinks); MF_ERR_SYSTEM (no
 *         thread); MF_ERR_NO_MEMORY.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_log_add_callback(mf_logger *logger, mf_log_sink_fn sink,
                                                  void *user_data, mf_log_format format,
                                                  mf_error *error);

/**
 * Changes the level.
 *
 * @param logger Borrowed; NULL is a no-op.
 * @param level  Lowest level that is written. MF_LOG_DEFAULT sets info; other numbers do nothing.
 * @par Threads Thread-safe.
 */
MF_API void mf_log_set_level(mf_logger *logger, mf_log_level level);
/** Returns the level. @param logger Borrowed; NULL gives MF_LOG_OFF. @par Threads Thread-safe. */
MF_API mf_log_level mf_log_get_level(const mf_logger *logger);
/**
 * Reads a level word, in any case ("warn", "WARNING").
 *
 * @param text      Borrowed; not NULL.
 * @param ret_level Not NULL. On MF_OK the level; untouched on failure.
 * @param error     NULL, or filled on failure.
 * @return MF_OK; MF_ERR_INVALID_ARGUMENT listing the words.
 * @par Threads Thread-safe.
 */
MF_API MF_NODISCARD mf_status mf_log_parse_level(const char *text, mf_log_level *ret_level,
                                                 mf_error *error);

/**
 * Waits until each sink has all records produced before, or has counted them as lost. A sink whose
 * last write failed is tried again, so that its losses are declared.
 *
 * @param logger     Borrowed; NULL gives true.
 * @param timeout_ms Milliseconds, or MF_TIMEOUT_INFINITE.
 * @return Whether that was so in time; false also because of a single sink that is stuck. A process
 *         that was forked since has no log writer: false at once if records wait.
 * @par Threads  Thread-safe.
 * @par Blocking At most timeout_ms.
 */
MF_API bool mf_log_flush(mf_logger *logger, int64_t timeout_ms);

/**
 * Writes the records that still wait in the rings, for the program's own handler of a fatal signal.
 *
 * The log writer is another thread, so that the last records before an abort() would be lost. This
 * function writes them, of every logger of the process (of the first 64, if there are more), as
 * JSON lines with their numbers:
 *
 *     static void on_fatal(int signal_number)
 *     {
 *         (void)mf_log_crash_flush(log_fd);
 *         (void)raise(signal_number);
 *     }
 *     ...
 *     struct sigaction fatal = {.sa_handler = on_fatal, .sa_flags = SA_RESETHAND | SA_NODEFER};
 *     (void)sigaction(SIGSEGV, &fatal, NULL);
 *     (void)sigaction(SIGABRT, &fatal, NULL);
 *
 * A record is written either here or to the sinks, so log_fd may be a descriptor of the log file,
 * opened with O_APPEND. Exceptions, if the program goes on: records behind one that a thread was
 * just adding, and records that no sink has taken yet (all sinks are functions, or their readers
 * are behind) are written to both. If the log writer does not come out of a write to a disk, the
 * records that it has numbered already are not seen here. Of sinks, only those for JSON lines are
 * looked at.
 *
 * @param fd Descriptor that is open already. A handler must not open files by other means than
 *           open().
 * @return Number of records written.
 * @par Threads  Thread-safe and async-signal-safe: takes no lock, allocates nothing, keeps errno.
 * Not to be called by a sink. A record with a number that needs more than 15 digits is formatted by
 * snprintf(), which POSIX does not list as async-signal-safe.
 * @par Blocking For each logger at most 1 s for the log writer; then until the lines are written. A
 *               descriptor with O_NONBLOCK that stays full for 1 s is given up.
 */
MF_API size_t mf_log_crash_flush(int fd);

/**
 * Opens the files of all sinks of the process anew, for programs that rotate their log files:
 * rename the file, then call this function, also from a handler of a signal. Each log writer
 * follows before it writes its next line; the writers of the first 64 loggers are woken to follow
 * at once. The path is opened as mf_log_add_file() opens it, in the folder in which the program
 * added the sink. If that fails, the sink keeps the file that it has, and a `log_reopen` record
 * (error) names the path and the reason. Sinks of mf_log_add_fd() and functions stay as they are.
 *
 * @par Threads  Thread-safe and async-signal-safe; keeps errno.
 * @par Blocking Never.
 */
MF_API void mf_log_reopen(void);

/** Totals since the start. */
typedef struct mf_log_stats {
    size_t struct_size;  /**< Set by MF_LOG_STATS_INIT. */
    uint64_t records[7]; /**< Written, by level: index with mf_log_level. With several sinks, those
                              of the sink that has most. A sink's own declarations do not count. */
    uint64_t dropped_ring_full, dropped_oversize;
    uint64_t dropped_sink_error; /**< Not written, summed over the sinks. */
    uint64_t bytes;              /**< Written to the sinks. */
    double ring_used_ratio;      /**< Highest fill since the last reading, 0 to 1. */
    uint64_t dropped_sampled;    /**< Left out by log_sample_first. */
    uint64_t redactions;         /**< Values that were masked. */
} mf_log_stats;
#define MF_LOG_STATS_INIT MF_DETAIL_INIT(mf_log_stats)
/**
 * Reads the totals.
 *
 * @param logger    Borrowed; NULL is a no-op.
 * @param ret_stats With struct_size set; filled. NULL is a no-op.
 * @par Threads Thread-safe.
 */
MF_API void mf_log_stats_read(mf_logger *logger, mf_log_stats *ret_stats);

/* ---- Events of the program's own ---- */

/** Type of a field's value. */
typedef enum mf_log_type {
    MF_LOG_TYPE_INT = 1,
    MF_LOG_TYPE_UINT = 2,
    MF_LOG_TYPE_FLOAT = 3,
    MF_LOG_TYPE_BOOL = 4,
    MF_LOG_TYPE_STR = 5,
} mf_log_type;

/** One key and value. Texts are borrowed until the call returns. */
typedef struct mf_log_field {
    const char *key;
    mf_log_type type;
    union {
        int64_t int_value;
        uint64_t uint_value;
        double float_value;
        bool bool_value;
        const char *str_value; /**< NULL leaves the field out. */
    } value;
} mf_log_field;

static inline mf_log_field mf_log_field_int(const char *key, int64_t value)
{
    mf_log_field field = {key, MF_LOG_TYPE_INT, {0}};
    field.value.int_value = value;
    return field;
}

static inline mf_log_field mf_log_field_uint(const char *key, uint64_t value)
{
    mf_log_field field = {key, MF_LOG_TYPE_UINT, {0}};
    field.value.uint_value = value;
    return field;
}

static inline mf_log_field mf_log_field_float(const char *key, double value)
{
    mf_log_field field = {key, MF_LOG_TYPE_FLOAT, {0}};
    field.value.float_value = value;
    return field;
}

static inline mf_log_field mf_log_field_bool(const char *key, bool value)
{
    mf_log_field field = {key, MF_LOG_TYPE_BOOL, {0}};
    field.value.bool_value = value;
    return field;
}

static inline mf_log_field mf_log_field_str(const char *key, const char *value)
{
    mf_log_field field = {key, MF_LOG_TYPE_STR, {0}};
    field.value.str_value = value;
    return field;
}

#ifndef __cplusplus
/** One field; the value's C type chooses the constructor. */
#define MF_FIELD(key, value)                                                                       \
    _Generic((value),                                                                              \
        _Bool: mf_log_field_bool,                                                                  \
        int: mf_log_field_int,                                                                     \
        long: mf_log_field_int,                                                                    \
        long long: mf_log_field_int,                                                               \
        unsigned int: mf_log_field_uint,                                                           \
        unsigned long: mf_log_field_uint,                                                          \
        unsigned long long: mf_log_field_uint,                                                     \
        float: mf_log_field_float,                                                                 \
        double: mf_log_field_float,                                                                \
        char *: mf_log_field_str,                                                                  \
        const char *: mf_log_field_str)((key), (value))

/** Logs an event with fields: MF_LOG(logger, MF_LOG_INFO, "cache.miss", "not cached",
 *  MF_FIELD("key", key), MF_FIELD("size", 3)). At least one field. */
#define MF_LOG(logger, level, event, message, ...)                                                 \
    mf_log_event((logger), (level), (event), (message), (const mf_log_field[]){__VA_ARGS__},       \
                 sizeof((const mf_log_field[]){__VA_ARGS__}) / sizeof(mf_log_field))
#endif

/**
 * Logs one event, with the ids of the call that this thread works for.
 *
 * @param logger  Borrowed; NULL is a no-op.
 * @param level   The record's level.
 * @param event   [a-z0-9_.]{1,64}, and none of the library's events. Any other name is logged as
 *                the event "invalid_event" with the name in a field.
 * @param message UTF-8; cut at 1 KiB. NULL counts as "". Copied.
 * @param fields  field_count fields, or NULL; written below the key "fields". Of several with one
 *                key the first is written. Keys have at most 128 bytes. A field that does not fit
 * is cut or left out, and the line says `"truncated":true`. Copied.
 * @param field_count Number of fields.
 * @par Threads  Thread-safe.
 * @par Blocking Never. A record that finds the ring full is dropped and counted.
 */
MF_API void mf_log_event(mf_logger *logger, mf_log_level level, const char *event,
                         const char *message, const mf_log_field *fields, size_t field_count);

MF_EXTERN_C_END

#endif
