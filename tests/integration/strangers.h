/* Processes that connect to a port that is not meant for them. */
#ifndef TESTS_INTEGRATION_STRANGERS_H
#define TESTS_INTEGRATION_STRANGERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <multifrost/multifrost.h>

/* What a stranger's process and the test both see. */
typedef struct stranger_view {
    _Atomic(bool) attacks; /* set by the test: whether new listening sockets are connected to */
    _Atomic(int) connects;
    _Atomic(int) closed; /* of those connections, by the other side */
    _Atomic(int) bytes;  /* that it was sent */
    _Atomic(int) looks;  /* for ports, so far */
} stranger_view;

typedef struct stranger {
    stranger_view *view;
    pid_t pid;
    const char *gate; /* a fifo, or NULL: one byte is written to it after each connect */
} stranger;

/* A process that looks for listening sockets of the calling process, and connects to each new one
 * at once. It says what a worker says when it is asked, and more. */
void start_stranger(stranger *to, const char *gate);
void end_stranger(stranger *from);

/* A connection to that port of 127.0.0.1. */
int connect_to(uint16_t port);
/* The handshake of a worker, and then answers, a heartbeat's answer and output. False if the
 * connection is closed. */
bool send_as_worker(int fd);
/* The handshake of a parent, and a call of "add" with 40 and 2. */
bool send_as_parent(int fd);
/* Reads until the other side closes the connection, or `text` comes; -1: nothing for that long.
 * Gives the number of bytes before. */
int read_until_closed(int fd, const char *text, bool *ret_came);

bool is_libzmq(void);

/* ---- What is told ---- */

#define REFUSED(target)                                                                            \
    "multifrost_transport_disconnects_total{target=\"" target "\",reason=\"refused\"} "

/* The value of a series, which ends with a blank; and the same when it has come, no more than that.
 */
uint64_t counted(mf_runtime *runtime, const char *series);
void await_count(mf_runtime *runtime, const char *series, uint64_t value);
mf_runtime *make_runtime(const char *log);
const char *log_path(void); /* a new one, valid until the next one */
/* Lines of a log that hold the text. */
int count_lines(const char *path, const char *text);

#endif
