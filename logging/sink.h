/* One sink of a logger: its outbox, its losses, and how its lines are written.
 *
 * Two threads use a sink. The log writer puts lines into the outbox. The consumer takes them out
 * and writes them. Where a write cannot block, the log writer is the consumer too; otherwise the
 * sink has a thread of its own. The consumer also keeps the ledger of what the sink lost, so that
 * each loss is declared just in front of the next line that is written. */
#ifndef MFI_LOGGING_SINK_H
#define MFI_LOGGING_SINK_H

#include <pthread.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/mutex.h"
#include "logging/encoder.h"
#include "logging/outbox.h"

/* Records lost in a row. Lines keep their order, so the numbers have no hole. */
typedef struct mfi_loss {
    uint64_t first_seq, last_seq; /* last_seq 0: none */
    int error;                    /* errno of the write that failed; 0: the outbox was full */
} mfi_loss;

/* A line outside of the outbox that the consumer writes next: a declaration, or the rest of a line
 * that the sink took half of. */
typedef struct mfi_front {
    mfi_buf text; /* with its newline; empty: none */
    size_t at;    /* bytes written */
    mfi_line line;
    int error;           /* of the loss, if the line is a declaration */
    bool is_declaration; /* else a record */
    bool begun;          /* the sink has a part of the line, and not all */
} mfi_front;

typedef struct mfi_sink {
    mf_log_format format;
    uint64_t fork_generation; /* of the process that has the thread */
    int fd;                   /* -1: the sink is a function */
    bool is_pipe;    /* writes at most PIPE_BUF bytes at once, so that processes do not mix lines */
    bool is_socket;  /* takes MSG_DONTWAIT */
    bool is_packet;  /* one line in each message */
    bool is_regular; /* a file with a size */
    bool has_thread; /* a write may block */
    size_t line_max; /* bytes of a line with its newline */
    char *path;      /* opened anew by mf_log_reopen(); NULL: the sink is a descriptor */
    mf_log_sink_fn write;
    void *user_data;
    mfi_outbox outbox;
    /* The log writer's. */
    mfi_loss overflow; /* found no room, not in the outbox yet */
    uint64_t grace_at; /* texts popped when the writer last waited for room */
    bool has_new;      /* lines were put since the thread was last woken */
    /* The consumer's. */
    mfi_loss lost; /* not declared yet */
    mfi_front front;
    size_t half;     /* bytes written of the oldest line of the outbox */
    bool broken;     /* a half line stands at the end of the sink */
    off_t size;      /* of a file when a write to it failed in the middle of a line */
    mfi_buf scratch; /* the line for a function */
    mfi_line_head head;
    /* Read by all. */
    _Atomic(bool) failed;       /* the last write failed */
    _Atomic(bool) is_full;      /* the descriptor takes no bytes now */
    _Atomic(uint64_t) last_seq; /* of the newest record written */
    _Atomic(uint64_t) records[7], bytes, dropped;
    _Atomic(unsigned) waiters; /* threads in mfi_sink_wait() */
    pthread_t thread;
    mfi_mutex mutex; /* guards all below; never held over a write */
    mfi_cond moved;  /* the outbox has lines, or fewer lines, or the sink ends */
    bool stopping;   /* the thread ends when the outbox is empty */
    bool retry;      /* the thread tries again to write what it has */
    bool busy;       /* the thread is in a write or in the function */
    bool abandoned;  /* the logger ends: the thread begins no other write */
    bool left;       /* the thread was in a write then, and frees the sink */
    bool ended;
} mfi_sink;

static inline size_t mfi_sink_line_max(const mfi_sink *sink)
{
    return sink->is_pipe ? MFI_LINE_MAX_PIPE : MFI_LINE_MAX_BYTES + 1;
}

/* An own copy of `from`, with an outbox, and a thread if it needs one; takes fd and path on MF_OK.
 * MF_ERR_NO_MEMORY or MF_ERR_SYSTEM. */
mf_status mfi_sink_create(mfi_sink **ret_sink, const mfi_sink *from, const mfi_line_head *head,
                          mf_error *error);
/* Log writer, at its end: waits until the lines are written, or the deadline. */
void mfi_sink_finish(mfi_sink *sink, uint64_t deadline_ns);
/* Frees the sink. A thread that is stuck in a write keeps the sink until it comes out. */
void mfi_sink_destroy(mfi_sink *sink);

/* Log writer. Puts a line with its newline into the outbox, or counts the line as lost. */
void mfi_sink_put(mfi_sink *sink, mfi_line line, const char *text);
/* Log writer. Counts records as lost that have no text: memory was missing. */
void mfi_sink_lose(mfi_sink *sink, mfi_line line, int error);
/* Log writer. Writes what the sink takes now, or wakes the thread that does. `retry`: tries a sink
 * again that failed and has no new lines. */
void mfi_sink_move(mfi_sink *sink, bool retry);
/* Whether the log writer should wait until the descriptor takes bytes. */
bool mfi_sink_is_full(const mfi_sink *sink);
/* Log writer. Writes to another descriptor from now on. */
void mfi_sink_replace(mfi_sink *sink, int fd);

/* Any thread. Waits until the lines up to this position of the outbox are written or lost. */
bool mfi_sink_wait(mfi_sink *sink, uint64_t position, uint64_t deadline_ns);

/* Consumer. Writes until the outbox is empty, or the sink takes no more. */
void mfi_sink_deliver(mfi_sink *sink);
/* Consumer. Wakes those in mfi_sink_wait(). */
void mfi_sink_tell(mfi_sink *sink);

/* descriptor.c: fills the facts of a sink that writes to fd, or to the file at path. The descriptor
 * is the sink's own. */
mf_status mfi_sink_of_descriptor(mfi_sink *sink, int fd, mf_error *error);
mf_status mfi_sink_of_path(mfi_sink *sink, const char *path, mf_error *error);
/* Opens the sink's path anew. Returns the descriptor, or -1 with errno set. */
int mfi_sink_open(const char *path);

#endif
